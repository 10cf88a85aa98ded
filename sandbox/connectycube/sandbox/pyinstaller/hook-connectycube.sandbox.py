"""The page, the bundled document and the database's schema, and what the validators of the document read."""

from PyInstaller.utils.hooks import collect_data_files

datas = [
    *collect_data_files("connectycube.sandbox"),
    *collect_data_files("openapi_schema_validator"),
    *collect_data_files("openapi_spec_validator"),
]
