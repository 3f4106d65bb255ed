import { readableLine } from '../../base/readableText.ts';
import type { RouteOutput } from '../../protocol/api.ts';

/** A model of a server as a row of a list. */
export interface ModelItem {
  readonly label: string;
  readonly description: string;
  readonly model: string;
  /** False for a model that embeds, ranks or speaks, and for the name of a whole family (`openai/*`). */
  readonly isForConversations: boolean;
}

/** The models to talk to as the server lists them, then all others. @param used marked as such. */
export function modelItems(models: RouteOutput<'listModels'>['models'], used: string): ModelItem[] {
  const items = models.map(({ id, use }): ModelItem => {
    const isFamily = id.includes('*');
    const isForConversations = use !== 'other' && !isFamily;
    const notes = [
      ...(id === used ? ['used'] : []),
      ...(use === 'other' ? ['not for conversations'] : []),
      ...(isFamily ? ['a family: name one of its models in the setting'] : []),
    ];
    return { label: readableLine(id), description: notes.join(', '), model: id, isForConversations };
  });
  return [...items.filter((item) => item.isForConversations), ...items.filter((item) => !item.isForConversations)];
}
