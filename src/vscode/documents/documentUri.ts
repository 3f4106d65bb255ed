import { Uri } from 'vscode';
import { documentScheme } from '../contributions.ts';

/** A read-only document of ours: `cwm:/<kind>/<name>?<id>`. The name is what the tab shows. */
export type DocumentKind =
  | 'conversation'
  | 'found'
  | 'branch'
  | 'window'
  | 'receipts'
  | 'status'
  | 'doctor'
  | 'verification'
  | 'usage'
  | 'change';

const extensions: Readonly<Record<DocumentKind, string>> = {
  conversation: 'md',
  found: 'md',
  branch: 'md',
  window: 'md',
  receipts: 'cwm-receipt',
  status: 'md',
  doctor: 'md',
  verification: 'md',
  usage: 'md',
  // Its name is that of the changed file.
  change: '',
};

/** @param id of the session or window that the document is about, `SESSION/MESSAGE` or `SESSION/BRANCH`; '' for none. */
export function documentUri(kind: DocumentKind, name: string, id = ''): Uri {
  const tab = name.replaceAll(/[\\/:*?"<>|\s]+/g, ' ').trim() || kind;
  const extension = extensions[kind];
  return Uri.from({
    scheme: documentScheme,
    path: `/${kind}/${tab}${extension === '' ? '' : `.${extension}`}`,
    query: id,
  });
}

export function parseDocumentUri({ path, query }: Uri): { kind: DocumentKind; id: string } | null {
  const kind = path.split('/')[1] ?? '';
  return isKind(kind) ? { kind, id: query } : null;
}

const isKind = (word: string): word is DocumentKind => Object.hasOwn(extensions, word);
