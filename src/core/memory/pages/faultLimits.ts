/** Faults of one turn, and their tokens together (S1-52). */
export const mostFaults = 2;
export const mostFaultTokens = 8_192;
