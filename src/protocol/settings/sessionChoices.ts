/** `plan`: the session's answers are plans. `act`: they are answers. */
export const sessionModes = ['plan', 'act'] as const;

/** `planner`: tools may only read. `actor`: tools may change things, as far as the user approves. */
export const agentRoles = ['planner', 'actor'] as const;

/**
 * Which tool calls run without a question. `manual`: none. `auto-approve`: all. `white-list`: those of the tools that are named. `auto-loop`:
 * all, for some rounds after each message of the user's. A dangerous one is asked for in any case.
 */
export const toolPolicies = ['manual', 'auto-approve', 'white-list', 'auto-loop'] as const;

/**
 * `append`: the other branch's own messages behind the active one's. `cherry-pick`: chosen ones of them. `rebase`: the active one's own
 * messages behind all of the other's.
 */
export const mergeWays = ['append', 'cherry-pick', 'rebase'] as const;

/**
 * The beginning of a session's next prompt. `ids`: the token ids that the engine saw last. `template`: the whole conversation, rendered by
 * the chat template again.
 */
export const continueFromChoices = ['ids', 'template'] as const;
export type ContinueFrom = (typeof continueFromChoices)[number];

/** Who may find the KV of a conversation that comes through the gateway: those of its project, itself only, or every one. */
export const isolations = ['project', 'conversation', 'off'] as const;
export type Isolation = (typeof isolations)[number];

/**
 * What the model is told of virtual memory (S1-63). `strict`: its rules, and that it must cite the pages that it answers from. `relaxed`: what left
 * and how to bring it back. `passive`: a summary alone; it is offered no tools of the memory.
 */
export const vmModes = ['strict', 'relaxed', 'passive'] as const;

/** The policies of eviction that come with the product, the default first; a program that builds the core can add others. */
export const evictionPolicies = ['kv-aware', 'importance-weighted-lru', 'lru', 'modality-aware-lru'] as const;
export type EvictionPolicyName = (typeof evictionPolicies)[number];
