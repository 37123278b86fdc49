/** What a model may import. None of it is needed: plain arrays, strings and objects do. */
export { MicroserviceError, SeldonNotImplementedError } from './errors.ts';
export { SeldonResponse } from './model.ts';
export type { Meta, Metric, Model, ModelMetadata, Payload, Tags } from './model.ts';
export { describe, flatten, reshape, Tensor, type List } from './array.ts';
