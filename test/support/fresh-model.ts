import { initialize } from "../../src/core/initialize.js";
import { familyOf } from "../../src/models/index.js";
import type { ModelSizes } from "../../src/models/model.js";
import { describeModel, type LanguageModel } from "../../src/pretrained/load-model.js";

/** A small model of a family with random weights, strong enough that every part of it changes the outputs. */
export function freshModel(modelType: string, sizes: Partial<ModelSizes> = {}): LanguageModel {
  const config = familyOf(modelType, "test").fresh({
    vocabSize: 40,
    contextLength: 24,
    layers: 2,
    heads: 2,
    d: 16,
    dropout: 0,
    ...sizes,
  });
  const model = describeModel({ ...config, model_type: modelType }, "test");
  const weights = initialize(model.module, 7);
  for (const { data } of weights.values()) for (let i = 0; i < data.length; i++) (data as Float32Array)[i]! *= 5;
  return { ...model, weights, generation: {}, generationExtra: {} };
}
