// Holds one floating-point unit against the host's own binary32 arithmetic, or against a file.
//
// Compiled with Verilator's model of the unit and -ffp-contract=off. UNIT_ADD, UNIT_MUL, UNIT_DIV
// or UNIT_SQRT says which unit it is, LATENCY its latency, SERIAL_BITS the width of a number.
//
//   check random COUNT SEED     corner cases, each with each, and then COUNT random vectors
//   check file NAME             a, b and result, 32 bits each, little-endian
//
// Prints "VECTORS MISMATCHES" and the first mismatch. Status 0 unless something is wrong with the
// arguments.

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <vector>

#include "Vtop.h"
#include "verilated.h"

namespace {

struct Vector {
    uint32_t a, b, expected;
};

constexpr uint32_t kQuietNaN = 0x7fc00000;

float to_float(uint32_t bits) {
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

uint32_t on_host(uint32_t a, uint32_t b) {
    // volatile: computed when the program runs, by the machine and not by the compiler.
    volatile float x = to_float(a), y = to_float(b), result;
#if defined(UNIT_ADD)
    result = x + y;
#elif defined(UNIT_MUL)
    result = x * y;
#elif defined(UNIT_DIV)
    result = x / y;
#elif defined(UNIT_SQRT)
    (void)y;
    result = std::sqrt(x);
#else
#error "no unit"
#endif
    const float got = result;
    if (std::isnan(got)) return kQuietNaN;
    uint32_t bits;
    std::memcpy(&bits, &got, sizeof bits);
    return bits;
}

// Xorshift64*, one for all vectors.
struct Random {
    uint64_t state;
    uint32_t bits() {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        return static_cast<uint32_t>((state * 0x2545F4914F6CDD1DULL) >> 32);
    }
    uint32_t below(uint32_t limit) { return bits() % limit; }
};

uint32_t with_exponent(uint32_t bits, int exponent) {
    if (exponent < 0) exponent = 0;
    if (exponent > 255) exponent = 255;
    return (bits & 0x807fffff) | static_cast<uint32_t>(exponent) << 23;
}

// A fraction of few ones, or of few zeros: sums and products that are exact or end in a tie.
uint32_t sparse(Random &random) {
    const uint32_t ones = (1u << random.below(23)) | (1u << random.below(23));
    const uint32_t fraction = random.below(2) ? ones : 0x7fffff & ~ones;
    return (random.bits() & 0xff800000) | fraction;
}

void draw(Random &random, uint32_t kind, uint32_t &a, uint32_t &b) {
    a = random.bits();
    b = random.bits();
    const int exponent = a >> 23 & 0xff;
    switch (kind) {
    case 0: case 1:  // any bits
        break;
    case 2:  // close exponents: cancellation, far and near alignment
        b = with_exponent(b, exponent + static_cast<int>(random.below(7)) - 3);
        break;
    case 3:  // neighbours
        b = (a + random.below(9) - 4) ^ (random.below(2) << 31);
        break;
    case 4:  // as far apart as the significand is long
        b = with_exponent(b, exponent - 20 - static_cast<int>(random.below(8)));
        break;
    case 5:  // a subnormal number, or a very small one
        a = with_exponent(a, random.below(3)) >> random.below(24) << random.below(24);
        a = with_exponent(a, random.below(2));
        break;
    case 6:  // product at either end of the range
        b = with_exponent(b, (random.below(2) ? 127 - 149 : 127 + 127) - exponent + 127
                                 + static_cast<int>(random.below(28)) - 3);
        break;
    case 7:  // quotient at either end of the range
        b = with_exponent(b, exponent - (random.below(2) ? -149 : 127)
                                 + static_cast<int>(random.below(28)) - 24 - 0);
        break;
    case 8:  // few ones
        a = sparse(random);
        b = with_exponent(sparse(random), (a >> 23 & 0xff) + static_cast<int>(random.below(52)) - 26);
        break;
    default:  // few ones, anywhere
        a = sparse(random);
        b = sparse(random);
    }
}

std::vector<uint32_t> corners() {
    std::vector<uint32_t> magnitudes = {
        0x00000000, 0x00000001, 0x00000002, 0x00000003, 0x00400000, 0x007ffffe, 0x007fffff,
        0x00800000, 0x00800001, 0x00ffffff, 0x01000000, 0x33800000, 0x33ffffff, 0x34000000,
        0x3effffff, 0x3f000000, 0x3f000001, 0x3f7fffff, 0x3f800000, 0x3f800001, 0x3fb504f3,
        0x3fffffff, 0x40000000, 0x40400000, 0x4b000000, 0x4b7fffff, 0x4b800000, 0x5f800000,
        0x7e800000, 0x7effffff, 0x7f000000, 0x7f7ffffe, 0x7f7fffff, 0x7f800000, 0x7f800001,
        0x7fbfffff, 0x7fc00000, 0x7fc00001, 0x7fffffff,
    };
    // Every power of two, and every number of one subnormal bit.
    for (uint32_t exponent = 1; exponent < 255; exponent += 6) magnitudes.push_back(exponent << 23);
    for (uint32_t bit = 0; bit < 23; ++bit) magnitudes.push_back(1u << bit);
    std::vector<uint32_t> all;
    for (const uint32_t magnitude : magnitudes) {
        all.push_back(magnitude);
        all.push_back(magnitude | 0x80000000);
    }
    return all;
}

class Bench {
  public:
    uint64_t vectors = 0, mismatches = 0;

    Bench() {
        top_.clk = 0;
        for (int cycle = 0; cycle < 2 * LATENCY; ++cycle) reset_cycle();
    }

    void apply(const Vector &vector) {
#if defined(UNIT_ADD) || defined(UNIT_MUL)
        // Now and then nothing comes in, and what lies on the operands must not matter.
        while (vectors % 7 == 3 && idle_.bits() % 2) {
            top_.a = idle_.bits();
            top_.b = idle_.bits();
            top_.valid = 0;
            cycle();
        }
        top_.a = vector.a;
        top_.b = vector.b;
        top_.valid = 1;
        waiting_.push_back(vector);
        cycle();
#else
#if defined(UNIT_DIV)
        top_.i___05Fpayload = static_cast<uint64_t>(vector.b) << SERIAL_BITS | vector.a;
#else
        top_.i___05Fpayload = vector.a;
#endif
        top_.i___05Fvalid = 1;
        top_.eval();
        if (!top_.i___05Fready) complain("not ready", vector, 0);
        tick();
        top_.i___05Fvalid = 0;
        for (int cycle = 1; cycle < LATENCY; ++cycle) {
            top_.eval();
            if (top_.o___05Fvalid) complain("too early", vector, 0);
            tick();
        }
        // The result waits for its consumer.
        top_.o___05Fready = 0;
        if (vectors % 5 == 2) tick();
        top_.eval();
        if (!top_.o___05Fvalid) complain("too late", vector, 0);
        compare(vector, top_.o___05Fpayload);
        top_.o___05Fready = 1;
        tick();
#endif
    }

    void finish() {
#if defined(UNIT_ADD) || defined(UNIT_MUL)
        top_.valid = 0;
        for (int k = 0; k < LATENCY; ++k) cycle();
        if (!waiting_.empty()) complain("results are missing", waiting_.front(), 0);
#endif
    }

  private:
    Vtop top_;
    Random idle_{99};
    std::deque<Vector> waiting_;

    void tick() {
        top_.eval();
        top_.clk = 1;
        top_.eval();
        top_.clk = 0;
        top_.eval();
    }

    void reset_cycle() {
#if defined(UNIT_ADD) || defined(UNIT_MUL)
        top_.valid = 0;
#else
        top_.rst = 1;
        top_.i___05Fvalid = 0;
        top_.o___05Fready = 0;
#endif
        tick();
#if !(defined(UNIT_ADD) || defined(UNIT_MUL))
        top_.rst = 0;
#endif
    }

#if defined(UNIT_ADD) || defined(UNIT_MUL)
    bool inside_[LATENCY] = {};
    int head_ = 0;

    void cycle() {
        const bool due = inside_[head_];
        inside_[head_] = top_.valid;
        head_ = (head_ + 1) % LATENCY;
        top_.eval();
        if (static_cast<bool>(top_.o_valid) != due) complain("wrong o_valid", Vector{}, top_.o_valid);
        if (due) {
            compare(waiting_.front(), top_.o);
            waiting_.pop_front();
        }
        tick();
    }
#endif

    void compare(const Vector &vector, uint32_t got) {
        ++vectors;
        if (got != vector.expected) complain("wrong result", vector, got);
    }

    void complain(const char *what, const Vector &vector, uint32_t got) {
        if (!mismatches++)
            std::fprintf(stderr, "%s: a %08x b %08x expected %08x got %08x\n", what, vector.a,
                         vector.b, vector.expected, got);
    }
};

}  // namespace

int main(int argc, char **argv) {
    Bench bench;
    if (argc == 4 && !std::strcmp(argv[1], "random")) {
        const auto edge = corners();
        for (const uint32_t a : edge)
            for (const uint32_t b : edge) bench.apply({a, b, on_host(a, b)});
        Random random{std::strtoull(argv[3], nullptr, 0) * 2 + 1};
        const uint64_t count = std::strtoull(argv[2], nullptr, 0);
        for (uint64_t k = 0; k < count; ++k) {
            uint32_t a, b;
            draw(random, k % 10, a, b);
            if (random.below(2)) {
                const uint32_t other = a;
                a = b;
                b = other;
            }
            bench.apply({a, b, on_host(a, b)});
        }
    } else if (argc == 3 && !std::strcmp(argv[1], "file")) {
        std::FILE *file = std::fopen(argv[2], "rb");
        if (!file) return 2;
        Vector vector;
        while (std::fread(&vector, sizeof vector, 1, file) == 1) bench.apply(vector);
        std::fclose(file);
    } else {
        return 2;
    }
    bench.finish();
    std::printf("%llu %llu\n", static_cast<unsigned long long>(bench.vectors),
                static_cast<unsigned long long>(bench.mismatches));
    return 0;
}
