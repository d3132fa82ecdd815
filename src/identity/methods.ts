/**
 * The verification methods of the Locator List option, as RFC 5533 Table 4 has them; the
 * registry text in section 17 swaps the two.
 */
export const METHOD_HBA = 1;
export const METHOD_CGA = 2;
