/** A fact: its name, and its value in words. Null means that it was not observed, which is never 0. */
export type Row = readonly [name: string, value: string | null];

/** A table as people read it. Each client lays it out: as columns of text, as markdown, as rows to pick from. */
export interface Table {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** How a client shows a moment: as an age where the text is drawn again and again, as a stamp where it stays. */
export type ShowTime = (stamp: string) => string;

/** A row that is present only when there is something to say. */
export const rowIf = (name: string, value: string | null | undefined): readonly Row[] => (value ? [[name, value]] : []);
