#!/usr/bin/env node
// The compiler of coverage.mjs: npm's solc, in the copy, with one setting more. Coverage turns the optimiser off, and then the
// compiler keeps a place on the stack for every variable of an assembly block until the block ends: there are not enough of
// them for the blocks of src/policies and src/verification/proven. `stackAllocation` gives a place back after the last use. It
// changes no other instruction (the sequence of optimiser steps, ":", is empty), so lines and branches are those of the source.
"use strict";

const { spawnSync } = require("node:child_process");
const { readFileSync } = require("node:fs");
const { join } = require("node:path");

const args = process.argv.slice(2);
let input;
if (args.includes("--standard-json")) {
  const question = JSON.parse(readFileSync(0, "utf8"));
  question.settings.optimizer = { enabled: false, details: { yul: true, yulDetails: { stackAllocation: true, optimizerSteps: ":" } } };
  input = JSON.stringify(question);
}
const done = spawnSync(join(__dirname, "npm-solc"), args, { input, stdio: ["pipe", "inherit", "inherit"], maxBuffer: 1 << 30 });
process.exitCode = done.status ?? 1;
