export interface PathChoice {
  readonly path: string;
  readonly kind: 'folder' | 'file';
  /** Files at and below it. */
  readonly fileCount: number;
}

/** The whole folder (''), the folders that hold these files, then the files, each sorted. Paths are relative with `/`. */
export function pathChoices(files: readonly string[]): PathChoice[] {
  if (files.length === 0) return [];
  const counts = new Map([['', files.length]]);
  for (const file of files) {
    for (let at = file.indexOf('/'); at !== -1; at = file.indexOf('/', at + 1)) {
      const folder = file.slice(0, at);
      counts.set(folder, (counts.get(folder) ?? 0) + 1);
    }
  }
  const folders = [...counts].map(([path, fileCount]): PathChoice => ({ path, kind: 'folder', fileCount }));
  const single = files.map((path): PathChoice => ({ path, kind: 'file', fileCount: 1 }));
  const byPath = (a: PathChoice, b: PathChoice): number => (a.path < b.path ? -1 : 1);
  return [...folders.sort(byPath), ...single.sort(byPath)];
}
