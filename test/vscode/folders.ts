/** A folder of the story, and what is said in it. */
export interface ToldFolder {
  /** Also the id of its session. */
  readonly name: string;
  readonly folder: string;
  readonly engine: string;
  readonly text: string;
}

const variable = 'CWM_TOLD_FOLDERS';

/** For the extension host that the suite runs in. */
export const tellFolders = (folders: readonly ToldFolder[]): Record<string, string> => ({
  [variable]: JSON.stringify(folders),
});

export const toldFolders = (): { readonly folders: readonly ToldFolder[] } => ({
  folders: JSON.parse(process.env[variable] ?? '[]') as readonly ToldFolder[],
});
