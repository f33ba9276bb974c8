import * as activation from "./activation.js";
import * as attending from "./attention.js";
import * as caching from "./cached-attention.js";
import * as constants from "./constant.js";
import * as elementwise from "./elementwise.js";
import * as gathering from "./gather.js";
import * as matmuls from "./matmul.js";
import * as normalize from "./normalize.js";
import * as random from "./random.js";
import * as recurrent from "./recurrent.js";
import * as reduce from "./reduce.js";
import * as rotary from "./rotary.js";
import * as shapes from "./shape.js";

export * from "./activation.js";
export * from "./attention.js";
export * from "./cached-attention.js";
export * from "./constant.js";
export * from "./elementwise.js";
export * from "./gather.js";
export * from "./matmul.js";
export * from "./normalize.js";
export * from "./random.js";
export * from "./recurrent.js";
export * from "./reduce.js";
export * from "./rotary.js";
export * from "./shape.js";

/** Every operation, as gradient rules and decompositions receive them. */
export const ops = {
  ...activation,
  ...attending,
  ...caching,
  ...constants,
  ...elementwise,
  ...gathering,
  ...matmuls,
  ...normalize,
  ...random,
  ...recurrent,
  ...reduce,
  ...rotary,
  ...shapes,
};

type AllOps = typeof ops;
declare module "../core/primitive.js" {
  interface Ops extends AllOps {}
}
