// npm run coverage [-- --least 98]: lines and branches of all sources that the tests run, missed ones first, then folder by folder
// and in all. Ends with an error when the sum is below the least percentage. Counted in code that is not optimised, see
// coverage-solc.cjs. Gas tests and invariants are left out: what only they reach is not tested.
import { spawnSync } from "node:child_process";
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync } from "node:fs";
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
for (const name of ["gas", "invariants"]) rmSync(join(copy, "test", name), { recursive: true });
renameSync(join(copy, "compiler", "solc"), join(copy, "compiler", "npm-solc"));
cpSync(join(contracts, "test", "coverage-solc.cjs"), join(copy, "compiler", "solc"));
chmodSync(join(copy, "compiler", "solc"), 0o755);

// Code sizes and gas are those of optimised code. The flipped bits reach nothing that other tests do not, in thousands of calls.
const leftOut = "test_Code_WhenItIsDeployed|_Bytes_RevertWhen_";
const forge = spawnSync(
  join(copy, "compiler", "forge"),
  ["coverage", "--report", "lcov", "--report-file", report, "--no-match-test", leftOut,
    "--out", join(folder, "out"), "--cache-path", join(folder, "cache")],
  { cwd: copy, encoding: "utf8", maxBuffer: 1 << 28, env: { ...process.env, FOUNDRY_FUZZ_RUNS: "32" } },
);
if (forge.status !== 0) {
  console.error((forge.stdout + forge.stderr).slice(-6_000));
  process.exit(1);
}

/** Found and hit, lines (LF, LH) and branches (BRF, BRH), by folder of src. */
const sums = new Map();
const missed = [];
const add = (name, counts) => {
  const sum = sums.get(name) ?? { LF: 0, LH: 0, BRF: 0, BRH: 0 };
  for (const field of Object.keys(sum)) sum[field] += counts[field];
  sums.set(name, sum);
};
for (const record of readFileSync(report, "utf8").split("end_of_record")) {
  const file = /SF:src\/(.*)/.exec(record)?.[1];
  if (!file || file.startsWith("devnet/")) continue;
  const count = (field) => Number(new RegExp(`^${field}:(\\d+)`, "m").exec(record)?.[1] ?? 0);
  add(file.includes("/") ? dirname(file) : ".", { LF: count("LF"), LH: count("LH"), BRF: count("BRF"), BRH: count("BRH") });
  for (const [, line] of record.matchAll(/^DA:(\d+),0$/gm)) missed.push(`src/${file}:${line} line`);
  for (const [, line] of record.matchAll(/^BRDA:(\d+),\d+,\d+,[0-]$/gm)) missed.push(`src/${file}:${line} branch`);
}
for (const counts of [...sums.values()]) add("all", counts);
rmSync(folder, { recursive: true });
if (missed.length > 0) console.log(missed.join("\n"));
const share = (hit, found) => (found === 0 ? 100 : (100 * hit) / found);
for (const [name, { LF, LH, BRF, BRH }] of sums) {
  const [lines, branches] = [share(LH, LF), share(BRH, BRF)];
  console.log(`${name.padEnd(20)} lines ${LH}/${LF} ${lines.toFixed(2)}%, branches ${BRH}/${BRF} ${branches.toFixed(2)}%`);
  if (name === "all" && (lines < least || branches < least)) process.exitCode = 1;
}
console.log(`least ${least}%: ${process.exitCode ? "missed" : "reached"}`);
