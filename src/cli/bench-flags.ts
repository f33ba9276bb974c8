/** What `bench train` is told. */
export interface TrainFlags {
  readonly layers: number;
  readonly heads: number;
  readonly d: number;
  readonly vocab: number;
  readonly context: number;
  readonly batch: number;
  readonly microBatch?: number;
  readonly steps: number;
  readonly threads?: number;
}

/** What `bench decode` is told. */
export interface DecodeFlags {
  readonly family: string;
  readonly vocab: number;
  readonly prompt: number;
  readonly tokens: number;
  readonly threads?: number;
}
