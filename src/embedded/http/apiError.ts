import { CwmError } from '../../protocol/errors.ts';

/** A failure that the client receives, in vLLM's shape. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly status: ApiStatus;

  constructor(status: ApiStatus, message: string) {
    super(message);
    this.status = status;
  }
}

export type ApiStatus = 400 | 401 | 403 | 404 | 413 | 500 | 503;

const types: Record<ApiStatus, string> = {
  400: 'BadRequestError',
  401: 'AuthenticationError',
  403: 'PermissionDeniedError',
  404: 'NotFoundError',
  413: 'BadRequestError',
  500: 'InternalServerError',
  503: 'ServiceUnavailableError',
};

export const errorBody = ({ status, message }: ApiError): object => ({
  error: { message, type: types[status], param: null, code: status },
});

/** Every other failure becomes a plain 500, since its words are not meant for clients. */
export const toApiError = (error: unknown): ApiError =>
  error instanceof ApiError
    ? error
    : error instanceof CwmError
      ? new ApiError(503, `${error.message} ${error.hint}`)
      : new ApiError(500, 'The engine failed; its log has the details.');
