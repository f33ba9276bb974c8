import * as activation from "./activation.js";
import * as constants from "./constant.js";
import * as elementwise from "./elementwise.js";
import * as gathering from "./gather.js";
import * as matmuls from "./matmul.js";
import * as normalize from "./normalize.js";
import * as reduce from "./reduce.js";
import * as shapes from "./shape.js";

export * from "./activation.js";
export * from "./constant.js";
export * from "./elementwise.js";
export * from "./gather.js";
export * from "./matmul.js";
export * from "./normalize.js";
export * from "./normalize.js";
export * from "./reduce.js";
export * from "./shape.js";

/** Every operation, as gradient rules and decompositions receive them. */
export const ops = { ...activation, ...constants, ...elementwise, ...gathering, ...matmuls, ...normalize, ...reduce, ...shapes };

type AllOps = typeof ops;
declare module "../core/primitive.js" {
  interface Ops extends AllOps {}
}
