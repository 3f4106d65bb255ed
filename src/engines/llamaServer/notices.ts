/** The known start settings of a llama-server. */
export interface ServerHabits {
  /** Started with `--slot-save-path`. */
  readonly savesSlots: boolean;
  /** Not started with `--no-slots`. */
  readonly showsSlots: boolean;
  /** Its slot folder is named in the engine's spec. */
  readonly folderIsNamed: boolean;
}

/** Notices and advice for the user of a llama-server, in plain words. */
export function llamaServerNotices({ savesSlots, showsSlots, folderIsNamed }: ServerHabits): string[] {
  const notices = [
    'llama-server does not isolate conversations in memory: it has no cache salts, so one that begins like another may reuse its KV. Slot files are separate by name.',
  ];
  if (!savesSlots) {
    notices.push('This server keeps no KV over a restart: start llama-server with --slot-save-path DIR.');
  } else if (!folderIsNamed) {
    notices.push(
      "Slot files cannot be checked before they are restored, nor deleted, and a damaged one can end llama-server: if its --slot-save-path is a folder on this machine, add #slots=DIR to the engine's URL.",
    );
  }
  if (!showsSlots) {
    notices.push('The server was started with --no-slots, so whether others use its slots is not seen.');
  }
  return notices;
}
