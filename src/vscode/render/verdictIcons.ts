import type { Verdict } from '../../protocol/schemas/receipt.ts';

interface VerdictIcon {
  /** A codicon's name. */
  readonly icon: string;
  /** A theme colour for the icon; never the only sign. */
  readonly color: string | null;
}

export const verdictIcons: Readonly<Record<Verdict, VerdictIcon>> = {
  proven: { icon: 'pass-filled', color: 'testing.iconPassed' },
  reused: { icon: 'pass', color: 'testing.iconPassed' },
  partial: { icon: 'color-mode', color: 'list.warningForeground' },
  rebuilt: { icon: 'debug-restart', color: 'list.warningForeground' },
  unobserved: { icon: 'question', color: null },
  damaged: { icon: 'error', color: 'list.errorForeground' },
  mismatch: { icon: 'warning', color: 'list.warningForeground' },
  'text-only': { icon: 'note', color: null },
};
