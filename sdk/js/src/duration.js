// Durations as authors write them: milliseconds, or an object such as { days: 3, hours: 2 }.

const UNITS = { weeks: 604_800_000, days: 86_400_000, hours: 3_600_000, minutes: 60_000, seconds: 1_000, milliseconds: 1 };

/** In milliseconds. */
export function duration(length) {
  if (typeof length === "number") {
    return whole(length, length);
  }
  if (length === null || typeof length !== "object") {
    throw new TypeError(`a duration is a number of milliseconds or an object such as { days: 3 }, not ${JSON.stringify(length)}`);
  }
  let total = 0;
  for (const [unit, count] of Object.entries(length)) {
    if (!(unit in UNITS)) {
      throw new TypeError(`there is no unit of time ${unit}; there are ${Object.keys(UNITS).join(", ")}`);
    }
    total += count * UNITS[unit];
  }
  return whole(total, length);
}

function whole(milliseconds, given) {
  if (!Number.isFinite(milliseconds) || milliseconds < 0) {
    throw new RangeError(`a duration must be a finite number of at least 0, not ${JSON.stringify(given)}`);
  }
  return Math.round(milliseconds);
}
