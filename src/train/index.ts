export * from "./adamw.js";
export { type BleuOptions, type BleuScore, bleu, tokenize13a } from "./bleu.js";
export {
  listCheckpoints,
  type Progress,
  readCheckpoint,
  runPaths,
  type TrainingState,
  writeCheckpoint,
} from "./checkpoint.js";
export * from "./chrf.js";
export * from "./corpus.js";
export * from "./evaluate.js";
export * from "./evaluate-model.js";
export * from "./loop.js";
export * from "./loss-curve.js";
export * from "./muon.js";
export * from "./objective.js";
export * from "./optimizer.js";
export { type PrepareOptions, resumeRun, startRun, type TrainingRun } from "./run.js";
export * from "./schedule.js";
export * from "./settings.js";
export * from "./train-step.js";
export * from "./training-log.js";
export * from "./windows.js";
