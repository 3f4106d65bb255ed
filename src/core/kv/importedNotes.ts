/** What a receipt says of KV that came with a file. */
export const importedNotes = (isImported: boolean): string[] =>
  isImported
    ? [
        'A part of this KV came with a file. The model follows it like text, and nobody can see what it says, so it is never proven. "cwm freeze SESSION WINDOW --recompute" gives it up and computes the conversation here.',
      ]
    : [];
