"""The order of Loader's rows (data/store/loader.cpp) by a second implementation: python shuffle.py SEED EPOCH SIZE."""
import sys

MASK = (1 << 64) - 1


def mt19937_64(seed):
    state = [seed & MASK]
    for i in range(1, 312):
        state.append((6364136223846793005 * (state[-1] ^ (state[-1] >> 62)) + i) & MASK)
    while True:
        for i in range(312):
            x = (state[i] & 0xFFFFFFFF80000000) | (state[(i + 1) % 312] & 0x7FFFFFFF)
            state[i] = state[(i + 156) % 312] ^ (x >> 1) ^ (0xB5026F5AA96619E9 if x & 1 else 0)
        for x in state:
            x ^= (x >> 29) & 0x5555555555555555
            x ^= (x << 17) & 0x71D67FFFEDA60000
            x ^= (x << 37) & 0xFFF7EEE000000000
            yield x ^ (x >> 43)


def order(seed, epoch, size):
    draw = mt19937_64(seed * 0x9E3779B97F4A7C15 + epoch)
    rows = list(range(size))
    for i in range(size, 1, -1):
        unbiased = i * (MASK // i)
        drawn = next(x for x in draw if x < unbiased)
        rows[i - 1], rows[drawn % i] = rows[drawn % i], rows[i - 1]
    return rows


print(order(*map(int, sys.argv[1:4])))
