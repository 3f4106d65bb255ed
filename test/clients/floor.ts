import type { SeenChat } from './scriptedServer.ts';

/** How many tokens a prompt has in common with any that the model has answered before. */
export async function floor(url: string, { chat }: SeenChat, before: readonly SeenChat[]): Promise<number> {
  const post = async (route: string, body: object) =>
    (await (
      await fetch(url + route, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      })
    ).json()) as { prompt: string; tokens: number[] };
  const idsOf = async ({ messages, tools }: SeenChat['chat']): Promise<number[]> => {
    const { prompt } = await post('/apply-template', { messages, tools });
    return (await post('/tokenize', { content: prompt, add_special: true, parse_special: true })).tokens;
  };
  const asked = await idsOf(chat);
  let most = 0;
  for (const each of before) {
    const ids = await idsOf(each.chat);
    const differs = ids.findIndex((id, at) => id !== asked[at]);
    most = Math.max(most, differs === -1 ? ids.length : differs);
  }
  return most;
}
