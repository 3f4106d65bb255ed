import type { CallToolResult } from '@modelcontextprotocol/server';
import { toCwmError } from '../protocol/errors.ts';
import { problemText } from '../words/failure.ts';

/** Where a client finds the error report of a failed call: code, whether it is worth a retry, details. */
const errorKey = 'context-window-manager/error';

/** A failure as the model reads it: what happened, its code, what to do next. */
export function failed(thrown: unknown): CallToolResult {
  const error = toCwmError(thrown);
  return {
    content: [{ type: 'text', text: problemText(error) }],
    isError: true,
    _meta: { [errorKey]: error.report() },
  };
}
