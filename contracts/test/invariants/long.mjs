// The long campaign: npm run invariants:long [-- --sequences 10000 --parts 2 --depth 50 --chunk 500 --first 1]
// Runs chunks of sequences with a seed each (from `first` on), `parts` of them side by side, adds up what succeeded and keeps
// long.log beside this file. COHORT_COMMIT names what was tested.
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
    COHORT_INVARIANT_PART: "1",
  };
  const forge = join(contracts, "compiler", "forge");
  const child = spawn(forge, ["test", "--match-path", "test/invariants/*", "--fuzz-seed", String(seed), "-vv"], {
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

/** Least successes of each transition in 500 sequences, as Campaign.sol has them. */
function leasts() {
  const source = readFileSync(join(here, "Campaign.sol"), "utf8");
  const found = new Map([...source.matchAll(/Did\.(\w+)\)\] = (\d+);/g)].map(([, name, least]) => [name, Number(least)]));
  return names().map((name) => found.get(name));
}

const sequences = option("sequences", 10_000);
const parts = option("parts", 2);
const depth = option("depth", 50);
const chunk = Math.min(option("chunk", 500), sequences);
const first = option("first", 1);
const chunks = Math.ceil(sequences / chunk);
const commit = process.env.COHORT_COMMIT ? `, commit ${process.env.COHORT_COMMIT}` : "";
const begun = Date.now();
const sums = names().map(() => 0);
const lines = [];
let failures = 0;
let next = first;

/** The log as it stands: written after every chunk, so that a campaign that is stopped leaves what it has done. */
function write() {
  const seconds = Math.round((Date.now() - begun) / 1000);
  const done = lines.length - failures;
  const head = `${new Date().toISOString()} ${done * chunk} of ${chunks * chunk} sequences of ${depth} calls, ${failures} chunks failed, ${seconds} s${commit}`;
  const counts = names().map((name, i) => `${name.padEnd(24)}${sums[i]}`);
  writeFileSync(join(here, "long.log"), [head, "", "successes, all sequences together:", ...counts, "", ...lines].join("\n") + "\n");
  return head;
}

/** Chunk after chunk, each with its number as the seed. */
async function work(part) {
  const report = join("cache", `invariant-counts-${process.pid}-${part}.json`);
  while (next < first + chunks) {
    const { seed, status, output } = await run(next++, chunk, depth, report);
    if (status === 0) {
      JSON.parse(readFileSync(join(contracts, report), "utf8")).forEach((count, i) => (sums[i] += count));
      lines.push(`seed ${seed}: ${/invariant_\w+\(\) \(runs:[^)]*\)/.exec(output)[0]}`);
    } else {
      failures += 1;
      lines.push(`seed ${seed} FAILED\n${output.slice(-6_000)}`);
    }
    console.log(write());
  }
}

mkdirSync(join(contracts, "cache"), { recursive: true });
await Promise.all(Array.from({ length: parts }, (_, part) => work(part)));
// Fewer than 500 sequences are too few to say anything.
const seldom = chunks * chunk < 500 ? [] : names().filter((_, i) => sums[i] < (leasts()[i] * chunks * chunk) / 500);
if (seldom.length > 0) console.error(`seen too seldom: ${seldom.join(", ")}`);
process.exitCode = failures === 0 && seldom.length === 0 ? 0 : 1;
