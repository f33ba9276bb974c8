import { TesseraError } from "../core/errors.js";
import { resolveModel } from "../hub/download.js";
import { describeModel, type LanguageModel, loadModel, type Task } from "../pretrained/index.js";
