import type { ConfigReader, FieldReader } from "../core/config-reader.js";
import type { RotaryScaling } from "../nn/rotary-scaling.js";

/** Rotary positions as config.json has them: `rope_parameters`, or in older files `rope_theta` and `rope_scaling`. */
export interface RopeParameters {
  readonly base: number;
  /** Rotated elements of a head. */
  readonly rotated: number;
  readonly scaling: RotaryScaling;
  /** Tokens that the scaled positions are meant for. */
  readonly contextLength: number;
}

/** What a family's rotary positions are called and by default. */
export interface RopeFields {
  readonly headSize: number;
  /** `max_position_embeddings`. */
  readonly positions: number;
  /** Name of the base beside `rope_scaling`. Default `rope_theta`. */
  readonly base?: string;
  /** Name of the part of a head that is rotated, where a family rotates less than all, and its default. */
  readonly part?: readonly [name: string, absent: number];
}

const types = ["default", "linear", "dynamic", "llama3", "yarn"] as const;

/** Reads rotary positions; unknown types of scaling (`longrope`) are refused. */
export function parseRopeParameters(
  c: ConfigReader,
  { headSize, positions, base = "rope_theta", part }: RopeFields,
): RopeParameters {
  const isOld = c.has("rope_scaling") && JSON.stringify(c.raw("rope_scaling")) !== "{}";
  const rope = c.object(isOld ? "rope_scaling" : "rope_parameters", { default: null });
  const besides = c.number(base, { above: 1, default: 10000 });
  const partBesides = part && c.number(part[0], { above: 0, max: 1, default: part[1] });
  if (!part) c.expect("partial_rotary_factor", 1);
  c.ignore("rope_parameters", "rope_scaling");
  rope?.expect("full_attention"); // angles of their own for each kind of layer: other families'
  rope?.expect("sliding_attention");
  if (!part) rope?.expect("partial_rotary_factor", 1);
  const ratio =
    (part && rope?.number("partial_rotary_factor", { above: 0, max: 1, default: null })) ?? partBesides ?? 1;
  const rotated = Math.trunc(headSize * ratio);
  if (rotated < 1 || (rotated === headSize && headSize % 2 !== 0))
    c.problem(`rotary positions need pairs of elements, ${ratio} of a head of ${headSize} are ${rotated}`);
  const scaling: RotaryScaling = rope ? parseScaling(c, rope, positions, rotated) : { type: "default" };
  return {
    base: rope?.number("rope_theta", { above: 1, default: null }) ?? besides,
    rotated: Math.max(rotated, 1),
    scaling,
    contextLength: contextLength(scaling, positions),
  };
}

function parseScaling(c: ConfigReader, rope: FieldReader, positions: number, rotated: number): RotaryScaling {
  const given = rope.oneOf("type", types, { default: null });
  const type = rope.oneOf("rope_type", types, { default: null }) ?? given ?? "default";
  const factor = () => rope.number("factor", { above: 0 });
  const optional = (key: string) => rope.number(key, { default: null }) || undefined;
  const length = () => {
    const inside = rope.int("original_max_position_embeddings", { min: 1, default: null });
    return c.int("original_max_position_embeddings", { min: 1, default: null }) ?? inside ?? positions;
  };
  switch (type) {
    case "linear":
      return { type, factor: factor() };
    case "dynamic":
      if (rotated <= 2)
        rope.problem(`rope_type dynamic needs more than two rotated elements of a head, got ${rotated}`);
      return { type, factor: factor(), length: positions };
    case "llama3": {
      const [low, high] = ["low_freq_factor", "high_freq_factor"].map((key) => rope.number(key, { above: 0 })) as [
        number,
        number,
      ];
      if (high <= low) rope.problem(`high_freq_factor must be above low_freq_factor (${high} vs ${low})`);
      return { type, factor: factor(), lowFrequencyFactor: low, highFrequencyFactor: high, length: length() };
    }
    case "yarn": {
      const first = length();
      const [above, below] = [optional("mscale"), optional("mscale_all_dim")];
      return {
        type,
        factor: rope.number("factor", { above: 0, default: null }) ?? positions / first,
        length: first,
        attentionFactor: rope.number("attention_factor", { default: null }) ?? undefined,
        mscale: above && below ? [above, below] : undefined,
        betaFast: optional("beta_fast"),
        betaSlow: optional("beta_slow"),
        truncate: rope.bool("truncate", { default: true }),
      };
    }
    default:
      return { type };
  }
}

/** `max_position_embeddings` counts the positions before stretching, but for LLaMA 3's and sometimes YaRN's. */
function contextLength(scaling: RotaryScaling, positions: number): number {
  switch (scaling.type) {
    case "linear":
    case "dynamic":
      return Math.max(positions, Math.floor(positions * scaling.factor));
    case "yarn":
      return Math.max(positions, Math.floor(scaling.length * scaling.factor));
    default:
      return positions;
  }
}
