import type { Capability } from '../../protocol/schemas/capabilities.ts';
import type { Link } from '../http/link.ts';
import { capability } from './capability.ts';
import { failureOrThrow } from './tinyRequests.ts';

/** Whether the server calls itself ready. vLLM says 503 when the engine behind its web server is dead, llama-server while it loads. */
export async function probeHealth(link: Link, signal: AbortSignal): Promise<Capability> {
  const request = {
    method: 'GET',
    path: '/health',
    patience: 'small',
    wrongAnswer: 'NotAnEngine',
    once: true,
  } as const;
  try {
    await link.reaches(request, signal);
    return capability('ready', 'yes', 'The server says so.');
  } catch (error) {
    const { name: failure, message } = failureOrThrow(error, signal);
    return failure === 'EngineFailed'
      ? capability('ready', 'no', message, 'Wait until it has started; if it has, restart it.')
      : capability('ready', 'unknown', message);
  }
}
