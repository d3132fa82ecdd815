/** What the rules of all commands have in common. */

/** Multicast and link-local: neither observed nor rewritten. */
export const NOT_UNICAST = "fe00::/7";

/** Multicast listener discovery, neighbour discovery, MLDv2 (RFC 4443, 2710, 4861, 3810). */
export const LINK_ICMP_TYPES: readonly number[] = [130, 131, 132, 133, 134, 135, 136, 137, 143];

/** Errors in which a router or the peer may quote a packet of ours (RFC 4443). */
export const ICMP_ERROR_TYPES: readonly number[] = [1, 2, 3, 4];

/**
 * Type and code of the errors that another pair may cure, as `concernsPath` tells: all of Time
 * Exceeded, and of Destination Unreachable all codes but port unreachable.
 */
export const PATH_ERRORS = { unreachable: 1, codes: [0, 1, 2, 3, 5, 6], timeExceeded: 3 } as const;
