/** `plan`: the session's answers are plans. `act`: they are answers. */
export const sessionModes = ['plan', 'act'] as const;

/** `planner`: tools may only read. `actor`: tools may change things, as far as the user approves. */
export const agentRoles = ['planner', 'actor'] as const;
