import type { AuditPoint } from '../../protocol/schemas/audit.ts';
import { CwmError } from '../../protocol/errors.ts';

/** `<sequence>:<hash>`, as the check of the log prints it. @throws CwmError InvalidParameter. */
export function parseAuditPoint(text: string | undefined): AuditPoint | null {
  if (text === undefined) return null;
  const [, sequence, hash] = /^([1-9]\d{0,14}):([0-9a-f]{64})$/.exec(text.trim()) ?? [];
  if (sequence !== undefined && hash !== undefined) return { sequence: Number(sequence), hash };
  throw new CwmError(
    'InvalidParameter',
    'An entry of the audit log is given as its number, a colon and 64 hexadecimal digits.',
    {
      context: { parameter: 'known' },
    },
  );
}
