// npm run coverage [-- --least 98]: lines and branches of the market's sources that the tests run, file by file and in all.
// Left out: src/policies and src/verification/proven, with the tests that need them. Coverage counts in code that is not optimised,
// and without optimiser the compiler has no stack for the assembly of those; they are compared with Python on shared cases.
// Ends with an error below the least percentage. Gas tests and invariants are left out: what only they reach is not tested.
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const contracts = join(dirname(fileURLToPath(import.meta.url)), "..");
const at = process.argv.indexOf("--least");
const least = at < 0 ? 98 : Number(process.argv[at + 1]);
const folder = mkdtempSync(join(tmpdir(), "cohort-coverage-"));
const report = join(folder, "lcov.info");
const copy = join(folder, "contracts");
mkdirSync(join(copy, "cache"), { recursive: true });
for (const name of ["src", "test", "compiler", "foundry.toml"]) cpSync(join(contracts, name), join(copy, name), { recursive: true });
cpSync(join(contracts, "..", "tests", "vectors"), join(folder, "tests", "vectors"), { recursive: true });
symlinkSync(join(contracts, "node_modules"), join(copy, "node_modules"));
for (const name of ["src/policies", "src/verification/proven", "test/gas", "test/invariants"]) {
  rmSync(join(copy, name), { recursive: true, force: true });
}

/** Takes away what imports a file that is not there, until everything that is left has its imports. */
function prune() {
  const files = readdirSync(join(copy, "test"), { recursive: true }).filter((name) => name.endsWith(".sol"));
  const orphans = files.filter((name) => {
    const file = join(copy, "test", name);
    const imports = [...readFileSync(file, "utf8").matchAll(/from "(\.[^"]+)"/g)];
    return imports.some(([, path]) => !existsSync(join(dirname(file), path)));
  });
  for (const name of orphans) rmSync(join(copy, "test", name));
  if (orphans.length > 0) prune();
}
prune();

const forge = spawnSync(
  join(copy, "compiler", "forge"),
  ["coverage", "--report", "lcov", "--report-file", report, "--no-match-test", "test_Code_WhenItIsDeployed", // sizes are of optimised code
    "--out", join(folder, "out"), "--cache-path", join(folder, "cache")],
  { cwd: copy, encoding: "utf8", maxBuffer: 1 << 28, env: { ...process.env, FOUNDRY_FUZZ_RUNS: "32" } },
);
if (forge.status !== 0) {
  console.error((forge.stdout + forge.stderr).slice(-6_000));
  process.exit(1);
}

/** Sums of found and hit, of one file and then of all. */
const total = { LF: 0, LH: 0, BRF: 0, BRH: 0 };
const missed = [];
for (const record of readFileSync(report, "utf8").split("end_of_record")) {
  const file = /SF:(.*)/.exec(record)?.[1];
  if (!file?.startsWith("src/") || file.startsWith("src/devnet/")) continue;
  for (const field of Object.keys(total)) total[field] += Number(new RegExp(`^${field}:(\\d+)`, "m").exec(record)?.[1] ?? 0);
  for (const [, line] of record.matchAll(/^DA:(\d+),0$/gm)) missed.push(`${file}:${line} line`);
  for (const [, line] of record.matchAll(/^BRDA:(\d+),\d+,\d+,[0-]$/gm)) missed.push(`${file}:${line} branch`);
}
rmSync(folder, { recursive: true });
const lines = (100 * total.LH) / total.LF;
const branches = (100 * total.BRH) / total.BRF;
console.log(missed.join("\n"));
console.log(`lines ${total.LH}/${total.LF} ${lines.toFixed(2)}%, branches ${total.BRH}/${total.BRF} ${branches.toFixed(2)}%, least ${least}%`);
process.exitCode = lines >= least && branches >= least ? 0 : 1;
