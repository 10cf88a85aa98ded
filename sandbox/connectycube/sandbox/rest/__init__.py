"""The REST half: HTTP in, domain calls, HTTP out. No rule of the platform is written here."""
