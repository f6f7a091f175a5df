"""The voucher's barcode as SVG: Code 128, code set C (pairs of digits)."""

from __future__ import annotations

# Widths of three bars and three spaces, bar first, for the values 0 to 105; the last three are the start codes A, B, C.
PATTERNS = (
    "212222222122222221121223121322131222122213122312132212221213221312231212112232122132122231113222123122123221"
    "223211221132221231213212223112312131311222321122321221312212322112322211212123212321232121111323131123131321"
    "112313132113132311211313231113231311112133112331132131113123113321133121313121211331231131213113213311213131"
    "311123311321331121312113312311332111314111221411431111111224111422121124121421141122141221112214112412122114"
    "122411142112142211241211221114413111241112134111111242121142121241114212124112124211411212421112421211212141"
    "214121412121111143111341131141114113114311411113411311113141114131311141411131211412211214211232"
)
START_C = 105
STOP = "2331112"
MODULE, HEIGHT, QUIET = 2, 80, 10


def widths(digits: str) -> str:
    """Alternating widths of bars and spaces, in modules. Raises ``ValueError`` for an odd number of digits."""
    if len(digits) % 2 or not digits.isascii() or not digits.isdigit():
        raise ValueError("code set C encodes pairs of digits")
    values = [int(digits[i : i + 2]) for i in range(0, len(digits), 2)]
    check = (START_C + sum(place * value for place, value in enumerate(values, 1))) % 103
    return "".join(PATTERNS[6 * value : 6 * value + 6] for value in (START_C, *values, check)) + STOP


def svg(digits: str) -> str:
    """The image, with the digits below the bars and the quiet zone that scanners need on both sides."""
    bars, x = [], QUIET * MODULE
    for position, width in enumerate(widths(digits)):
        if position % 2 == 0:
            bars.append(f"M{x} 0h{int(width) * MODULE}v{HEIGHT}h-{int(width) * MODULE}z")
        x += int(width) * MODULE
    total = x + QUIET * MODULE
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{total}" height="{HEIGHT + 24}" role="img" '
        f'aria-label="{digits}"><rect width="100%" height="100%" fill="#fff"/><path d="{"".join(bars)}"/>'
        f'<text x="{total // 2}" y="{HEIGHT + 18}" text-anchor="middle" font-family="monospace" font-size="16">'
        f"{digits}</text></svg>"
    )
