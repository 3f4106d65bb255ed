/** The vendor of a model in VS Code: of the extension, or of VS Code's own Custom Endpoint. */
export type Door = 'cwm' | 'customendpoint';

/** What a suite of the chat's story is told: where its model server and its gateway are. */
export interface ChatPlace {
  readonly vendor: Door;
  /** The real model server, which is started again when it ends. */
  readonly server: { readonly url: string; readonly pid: number };
  readonly slotDir: string;
  /** Of the server between the gateway and the model server, the same in each window. */
  readonly frontPort: number;
  readonly gatewayPort: number;
  readonly storage: string;
  /** Where VS Code keeps the conversations of the profile. */
  readonly userFolder: string;
}

const variable = 'CWM_CHAT_STORY';

/** For the extension host that the suite runs in. */
export const tellChat = (place: ChatPlace): Record<string, string> => ({ [variable]: JSON.stringify(place) });

/** Null outside the story. */
export function toldChat(): ChatPlace | null {
  const told = process.env[variable];
  return told === undefined ? null : (JSON.parse(told) as ChatPlace);
}
