// The long campaign: npm run invariants:long [-- --sequences 10000 --parts 2 --depth 50]
// Runs the parts side by side with a seed each, adds up what succeeded, writes long.log beside this file.
// Ends with an error if an invariant broke, a handler reverted or a transition was seen too seldom.
import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const contracts = join(here, "..", "..");

function option(name, fallback) {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? fallback : Number(process.argv[at + 1]);
}

function run(seed, sequences, depth, report) {
  const environment = {
    ...process.env,
    FOUNDRY_INVARIANT_RUNS: String(sequences),
    FOUNDRY_INVARIANT_DEPTH: String(depth),
    FOUNDRY_INVARIANT_SHRINK_RUN_LIMIT: "500",
    COHORT_INVARIANT_REPORT: report,
  };
  const forge = join(contracts, "node_modules", ".bin", "forge");
  const child = spawn(forge, ["test", "--match-path", "test/invariant/*", "--fuzz-seed", String(seed), "-vv"], {
    cwd: contracts,
    env: environment,
  });
  let output = "";
  child.stdout.on("data", (data) => (output += data));
  child.stderr.on("data", (data) => (output += data));
  return new Promise((resolve) => child.on("close", (status) => resolve({ seed, status, output })));
}

/** Names of the transitions, in the order of their counts. */
function names() {
  const source = readFileSync(join(here, "World.sol"), "utf8");
  return /enum Did \{([^}]*)\}/.exec(source)[1].split(",").map((name) => name.trim()).filter(Boolean);
}

const sequences = option("sequences", 10_000);
const parts = option("parts", 2);
const depth = option("depth", 50);
const share = Math.ceil(sequences / parts);
mkdirSync(join(contracts, "cache"), { recursive: true });
const begun = Date.now();
const reports = Array.from({ length: parts }, (_, i) => join("cache", `invariant-counts-${i}.json`));
const results = await Promise.all(reports.map((report, i) => run(i + 1, share, depth, report)));
const seconds = Math.round((Date.now() - begun) / 1000);
const failed = results.filter((result) => result.status !== 0);
const sums = names().map(() => 0);
if (failed.length === 0) {
  for (const report of reports) {
    JSON.parse(readFileSync(join(contracts, report), "utf8")).forEach((count, i) => (sums[i] += count));
  }
}
const lines = [
  `${new Date().toISOString()} ${share * parts} sequences of ${depth} calls in ${parts} parts (seeds 1 .. ${parts}), ${seconds} s`,
  ...results.map(({ seed, output }) => `seed ${seed}: ${(/invariant_\w+\(\) \(runs:[^)]*\)|\[(?:PASS|FAIL)[^\n]*/.exec(output) ?? ["no result"])[0]}`),
  "",
  "successes, all sequences together:",
  ...names().map((name, i) => `${name.padEnd(24)}${sums[i]}`),
  ...failed.map(({ output }) => output.slice(-8_000)),
];
writeFileSync(join(here, "long.log"), lines.join("\n") + "\n");
console.log(lines.join("\n"));
process.exitCode = failed.length === 0 ? 0 : 1;
