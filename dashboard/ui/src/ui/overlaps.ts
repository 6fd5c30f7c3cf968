/** How long what is rotated goes on working beside its successor, in seconds. */
export const overlaps = [["0", "End it now"], ["3600", "One hour"], ["86400", "One day"], ["604800", "One week"]] as const;
