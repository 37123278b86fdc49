/** Errors that a client is told about. Everything else that is thrown is answered as `MICROSERVICE_INTERNAL_ERROR`. */

export interface MicroserviceErrorOptions {
  /** HTTP status. Default 400. */
  readonly status?: number;
  /** Default `MICROSERVICE_BAD_DATA`. */
  readonly reason?: string;
  readonly cause?: unknown;
}

/** A request that cannot be served, with the HTTP status and the reason that Seldon's error body carries. */
export class MicroserviceError extends Error {
  readonly status: number;
  readonly reason: string;

  constructor(message: string, options: MicroserviceErrorOptions = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.name = 'MicroserviceError';
    this.status = options.status ?? 400;
    this.reason = options.reason ?? 'MICROSERVICE_BAD_DATA';
  }
}

/** A hook throws this to say that it is as good as not there. Known by its name, so that a model need not import it. */
export class SeldonNotImplementedError extends Error {
  constructor(message = 'not implemented') {
    super(message);
    this.name = 'SeldonNotImplementedError';
  }
}

/** The body Seldon's wrapper answers an error with. */
export function errorBody(info: string, reason: string): object {
  return { status: { status: 1, info, code: -1, reason } };
}
