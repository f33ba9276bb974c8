import { describe, expect, it } from "vitest";
import type { GenerationConfig } from "../hub/generation-config.js";
import { type GenerationOptions, resolveOptions } from "./generation-options.js";

const chosen = (config: GenerationConfig, options: GenerationOptions = {}) => {
  const { sampling, beams } = resolveOptions(config, options, 10);
  return { temperature: sampling?.temperature, beams: beams?.numBeams };
};

describe("drawing and beams", () => {
  it.each<[GenerationConfig, GenerationOptions, ReturnType<typeof chosen>]>([
    [{}, {}, { temperature: undefined, beams: undefined }],
    [{ do_sample: true, temperature: 0.7 }, {}, { temperature: 0.7, beams: undefined }],
    [{ num_beams: 4 }, {}, { temperature: undefined, beams: 4 }],
    [{ do_sample: true }, { numBeams: 3 }, { temperature: undefined, beams: 3 }],
    [{ do_sample: true }, { numBeams: 1 }, { temperature: 1, beams: undefined }],
    [{ num_beams: 4 }, { temperature: 0.5 }, { temperature: 0.5, beams: undefined }],
    [{ num_beams: 4 }, { doSample: true }, { temperature: 1, beams: undefined }],
    [{ num_beams: 4 }, { temperature: 0 }, { temperature: undefined, beams: 4 }],
    [{ num_beams: 4, do_sample: true }, { doSample: false }, { temperature: undefined, beams: 4 }],
    [{ num_beams: 4, do_sample: true }, { topK: 2 }, { temperature: 1, beams: undefined }],
  ])("of %j and %j", (config, options, expected) => expect(chosen(config, options)).toEqual(expected));

  it.each<[GenerationConfig, GenerationOptions]>([
    [{ num_beams: 4, do_sample: true }, {}],
    [{}, { numBeams: 2, topP: 0.5 }],
  ])("are not done together: %j and %j", (config, options) =>
    expect(() => chosen(config, options)).toThrow("beam search does not draw tokens"),
  );
});
