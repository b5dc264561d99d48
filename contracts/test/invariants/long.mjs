// The long campaign: npm run invariants:long [-- --sequences 10000 --parts 2 --depth 50 --chunk 500 --continue 1]
// Runs chunks of sequences, each with its number as the seed, `parts` of them side by side, adds up what succeeded and keeps
// long.log beside this file. COHORT_COMMIT names what was tested. With --continue, chunks that the log has from the same commit
// are not run again: a campaign that was stopped goes on where it was.
// Ends with an error if an invariant broke, a handler reverted or a transition was seen too seldom.
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
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
  const words = [forge, "test", "--match-path", "test/invariants/*", "--fuzz-seed", String(seed), "-vv"];
  // The shell says at the end how much processor time its children took.
  const child = spawn("sh", ["-c", '"$@"; status=$?; times; exit $status', "sh", ...words], {
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
const chunks = Math.ceil(sequences / chunk);
const log = join(here, "long.log");
const title = `chunks of ${chunk} sequences of ${depth} calls, commit ${process.env.COHORT_COMMIT ?? "not named"}`;
const sums = names().map(() => 0);
const lines = [];
const left = Array.from({ length: chunks }, (_, i) => i + 1);
let failures = 0;
let processor = 0; // seconds

/** Counts a chunk that went well; `counts` are its successes in the order of Did. */
function take(line, seconds, counts) {
  counts.forEach((count, i) => (sums[i] += count));
  processor += seconds;
  lines.push(line);
}

/** Chunks that the log of an earlier, stopped campaign over the same commit has. */
function resume() {
  const text = existsSync(log) ? readFileSync(log, "utf8") : "";
  if (!text.startsWith(title)) throw new Error(`${log} is not of ${title}: run without --continue`);
  for (const [line, seed, seconds, counts] of text.matchAll(/^seed (\d+): .* (\d+) processor seconds, successes ([\d ]+)$/gm)) {
    left.splice(left.indexOf(Number(seed)), 1);
    take(line, Number(seconds), counts.split(" ").map(Number));
  }
}

/** The log as it stands: written after every chunk, so that a campaign that is stopped leaves what it has done. */
function write() {
  const done = `${(lines.length - failures) * chunk} of ${chunks * chunk} sequences, ${failures} chunks failed, ${processor} processor seconds`;
  const counts = names().map((name, i) => `${name.padEnd(24)}${sums[i]}`);
  const text = [title, `${new Date().toISOString()} ${done}`, "", "successes, all sequences together:", ...counts, "", ...lines];
  writeFileSync(log, text.join("\n") + "\n");
  return done;
}

/** What `times` says of the children: user and system time, as 1m2.5s. */
function processorSeconds(output) {
  const last = [...output.matchAll(/^(\d+)m([\d.]+)s (\d+)m([\d.]+)s$/gm)].at(-1).slice(1).map(Number);
  return Math.ceil(60 * last[0] + last[1] + 60 * last[2] + last[3]);
}

/** Chunk after chunk. */
async function work(part) {
  const report = join("cache", `invariant-counts-${process.pid}-${part}.json`);
  while (left.length > 0) {
    const { seed, status, output } = await run(left.shift(), chunk, depth, report);
    const seconds = processorSeconds(output);
    if (status === 0) {
      const counts = JSON.parse(readFileSync(join(contracts, report), "utf8"));
      const said = /invariant_\w+\(\) \(runs:[^)]*\)/.exec(output)[0];
      take(`seed ${seed}: ${said} ${seconds} processor seconds, successes ${counts.join(" ")}`, seconds, counts);
    } else {
      failures += 1;
      lines.push(`seed ${seed} FAILED\n${output.slice(-6_000)}`);
    }
    console.log(write());
  }
}

mkdirSync(join(contracts, "cache"), { recursive: true });
if (option("continue", 0)) resume();
await Promise.all(Array.from({ length: parts }, (_, part) => work(part)));
// Fewer than 500 sequences are too few to say anything.
const seldom = chunks * chunk < 500 ? [] : names().filter((_, i) => sums[i] < (leasts()[i] * chunks * chunk) / 500);
if (seldom.length > 0) console.error(`seen too seldom: ${seldom.join(", ")}`);
process.exitCode = failures === 0 && seldom.length === 0 ? 0 : 1;
