import type { CwmError } from '../../protocol/errors.ts';
import { errorInAnswer, errorWords, statusInAnswer } from './errorWords.ts';
import type { StreamEvent } from './events.ts';
import type { Link, LinkRequest } from './link.ts';
import { statusError } from './status.ts';

/** The failure that a server reports in an event after its answer has begun; null when the event reports none. */
export function streamFailure(
  event: Pick<StreamEvent, 'name' | 'data'>,
  value: unknown,
  link: Pick<Link, 'label' | 'withoutSecrets'>,
  request: LinkRequest,
): CwmError | null {
  const reason = event.name === 'error' ? errorWords(value) || event.data : errorInAnswer(value);
  if (reason === null) return null;
  return statusError({
    status: statusInAnswer(value) ?? 500,
    location: null,
    text: link.withoutSecrets(request, event.data),
    label: link.label,
    path: request.path,
    keySent: true,
  });
}
