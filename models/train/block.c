// A block of symbols.py with the mixer `units`, forward and backward, in bfloat16 on one thread.
// It needs AVX-512 BF16. fused.py compiles and calls it.
//
// A puzzle's states are [T, D] with T = symbols * cells tokens. Everything of a puzzle stays in the
// cache from one product to the next. Sums are in float32. The names are those of symbols.py: the
// mixer has `gate_up` [2 M, D] and `down` [D, M], the SwiGLU `gate_up2` [2 I, D], `down2` [D, I].
//
//   m   = swiglu(x gate_up)     h   = rms(x + others(m) down)
//   out = rms(h + swiglu(h gate_up2) down2)

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifndef __AVX512BF16__
int supported(void) { return 0; }
#else
#include <immintrin.h>

int supported(void) { return 1; }

typedef uint16_t bf16;
typedef uint32_t pair;  // two bf16: the even one in the low half

enum { ROWS = 9, LANES = 16, UNITS = 6 };  // rows of a tile, floats of a register, units of a token

typedef struct {
    int batch, symbols, side, box_rows, box_cols, width, mixer, inner;  // D, M, I
    float eps;
} Shape;

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")

INLINE __m512 wide(const bf16 *x) {
    __m512i half = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)x));
    return _mm512_castsi512_ps(_mm512_slli_epi32(half, 16));
}

INLINE void narrow(bf16 *x, __m512 value) {
    _mm256_storeu_si256((__m256i *)x, (__m256i)_mm512_cvtneps_pbh(value));
}

INLINE bf16 narrow_one(float value) {
    bf16 all[LANES];
    narrow(all, _mm512_set1_ps(value));
    return all[0];
}

INLINE __m512 add(__m512 a, __m512 b) { return _mm512_add_ps(a, b); }
INLINE __m512 sub(__m512 a, __m512 b) { return _mm512_sub_ps(a, b); }
INLINE __m512 mul(__m512 a, __m512 b) { return _mm512_mul_ps(a, b); }
INLINE __m512 fused(__m512 a, __m512 b, __m512 c) { return _mm512_fmadd_ps(a, b, c); }
INLINE __m512 all(float x) { return _mm512_set1_ps(x); }

INLINE float root(float x) { return _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(x))); }

// 1 / (1 + exp(-x)), with a relative error below 2^-12.
INLINE __m512 sigmoid(__m512 x) {
    __m512 t = mul(x, all(-1.44269504f));
    t = _mm512_min_ps(_mm512_max_ps(t, all(-100)), all(100));
    __m512 whole = _mm512_roundscale_ps(t, 0);
    __m512 f = sub(t, whole);
    __m512 p = fused(f, all(0.0096181f), all(0.0555041f));
    p = fused(p, f, all(0.2402265f));
    p = fused(p, f, all(0.6931472f));
    p = fused(p, f, all(1));
    return _mm512_rcp14_ps(add(all(1), _mm512_scalef_ps(p, whole)));
}

// out [R, 16 N] = x [R, 2 pairs] times a packed matrix of `columns` columns.
INLINE void product_block(const int R, const int N, const bf16 *x, long stride, const pair *matrix,
                          int pairs, int columns, float *out, long out_stride) {
    __m512 sum[ROWS][3];
    UNROLL for (int r = 0; r < R; r++)
        UNROLL for (int n = 0; n < N; n++) sum[r][n] = _mm512_setzero_ps();
    for (int p = 0; p < pairs; p++) {
        __m512bh weights[3];
        UNROLL for (int n = 0; n < N; n++)
            weights[n] = (__m512bh)_mm512_loadu_si512(matrix + (long)p * columns + LANES * n);
        UNROLL for (int r = 0; r < R; r++) {
            int both;
            memcpy(&both, x + r * stride + 2 * p, sizeof both);
            __m512bh from = (__m512bh)_mm512_set1_epi32(both);
            UNROLL for (int n = 0; n < N; n++)
                sum[r][n] = _mm512_dpbf16_ps(sum[r][n], from, weights[n]);
        }
    }
    UNROLL for (int r = 0; r < R; r++)
        UNROLL for (int n = 0; n < N; n++)
            _mm512_storeu_ps(out + r * out_stride + LANES * n, sum[r][n]);
}

// out [rows, columns] = x [rows, 2 pairs] times a packed matrix, with rows <= ROWS.
static void product(const bf16 *x, long stride, int rows, const pair *matrix, int pairs,
                    int columns, float *out) {
    int blocks = columns / LANES, step = blocks % 3 == 0 ? 3 : blocks % 2 == 0 ? 2 : 1;
    for (int n = 0; n < columns; n += step * LANES) {
#define CASE(R, N) \
    product_block(R, N, x + at * stride, stride, matrix + n, pairs, columns, \
                  out + (long)at * columns + n, columns)
        int at = 0;
        if (rows == ROWS) {
            if (step == 3) CASE(ROWS, 3); else if (step == 2) CASE(ROWS, 2); else CASE(ROWS, 1);
        } else {
            for (; at < rows; at++)
                if (step == 3) CASE(1, 3); else if (step == 2) CASE(1, 2); else CASE(1, 1);
        }
#undef CASE
    }
}

// Writes rows in pairs, [(rows + 1) / 2, columns]. An odd last row is paired with zeros.
static void interleave(const bf16 *x, int rows, int columns, pair *out) {
    for (int t = 0; t < rows; t += 2)
        for (int c = 0; c < columns; c += LANES) {
            const bf16 *first = x + (long)t * columns + c;
            __m512i low = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)first));
            __m512i high = _mm512_setzero_si512();
            if (t + 1 < rows)
                high = _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256(
                    (const __m256i *)(first + columns))), 16);
            _mm512_storeu_si512(out + (long)(t / 2) * columns + c, _mm512_or_si512(low, high));
        }
}

// out [R, 16 N] += the first R columns of `left`, transposed, times columns of `right`. Both have
// their rows in pairs.
INLINE void gradient_block(const int R, const int N, const pair *left, const pair *right,
                           int pairs, int left_columns, int right_columns, float *out) {
    __m512 sum[ROWS][3];
    UNROLL for (int r = 0; r < R; r++)
        UNROLL for (int n = 0; n < N; n++)
            sum[r][n] = _mm512_loadu_ps(out + (long)r * right_columns + LANES * n);
    for (int p = 0; p < pairs; p++) {
        __m512bh to[3];
        UNROLL for (int n = 0; n < N; n++)
            to[n] = (__m512bh)_mm512_loadu_si512(right + (long)p * right_columns + LANES * n);
        UNROLL for (int r = 0; r < R; r++) {
            __m512bh from = (__m512bh)_mm512_set1_epi32((int)left[(long)p * left_columns + r]);
            UNROLL for (int n = 0; n < N; n++)
                sum[r][n] = _mm512_dpbf16_ps(sum[r][n], from, to[n]);
        }
    }
    UNROLL for (int r = 0; r < R; r++)
        UNROLL for (int n = 0; n < N; n++)
            _mm512_storeu_ps(out + (long)r * right_columns + LANES * n, sum[r][n]);
}

// out [left columns, right columns] += left' right, of rows in pairs.
static void gradient(const pair *left, const pair *right, int pairs, int left_columns,
                     int right_columns, float *out) {
    int blocks = right_columns / LANES, step = blocks % 3 == 0 ? 3 : blocks % 2 == 0 ? 2 : 1;
    for (int r = 0; r < left_columns; r += 8)
        for (int n = 0; n < right_columns; n += step * LANES) {
#define CASE(N) \
    gradient_block(8, N, left + r, right + n, pairs, left_columns, right_columns, \
                   out + (long)r * right_columns + n)
            if (step == 3) CASE(3); else if (step == 2) CASE(2); else CASE(1);
#undef CASE
        }
}

// Packs a matrix [rows, columns], so that `product` maps its columns to its rows.
static pair *pack(const float *matrix, int rows, int columns) {
    pair *out = malloc(sizeof(pair) * rows * columns / 2);
    for (int c = 0; c < columns; c += 2)
        for (int r = 0; r < rows; r++)
            out[(long)c / 2 * rows + r] = narrow_one(matrix[(long)r * columns + c]) |
                                          (pair)narrow_one(matrix[(long)r * columns + c + 1]) << 16;
    return out;
}

// The same for its rows to its columns.
static pair *pack_transposed(const float *matrix, int rows, int columns) {
    pair *out = malloc(sizeof(pair) * rows * columns / 2);
    for (int r = 0; r < rows; r += 2)
        for (int c = 0; c < columns; c++)
            out[(long)r / 2 * columns + c] =
                narrow_one(matrix[(long)r * columns + c]) |
                (pair)narrow_one(matrix[(long)(r + 1) * columns + c]) << 16;
    return out;
}

// Sums x [T, M] over the other members of a token's units, M / UNITS channels each. `sums` is work
// space of UNITS * T * M / UNITS floats.
static void others(const Shape *s, const bf16 *x, bf16 *out, float *sums) {
    int side = s->side, cells = side * side, tokens = s->symbols * cells;
    int part = s->mixer / UNITS;
    memset(sums, 0, sizeof(float) * tokens * s->mixer);
    for (int back = 0; back < 2; back++)  // first the sums, then the results
        for (int t = 0; t < tokens; t++) {
            int symbol = t / cells, cell = t % cells, row = cell / side, col = cell % side;
            int band = row / s->box_rows, stack = col / s->box_cols;
            int unit[UNITS] = {  // its number among the units of its kind
                symbol * cells + row,
                symbol * cells + col,
                symbol * cells + band * (side / s->box_cols) + stack,
                symbol * cells + row * (side / s->box_cols) + stack,
                symbol * cells + band * side + col,
                cell,
            };
            for (int u = 0; u < UNITS; u++) {
                float *sum = sums + ((long)u * tokens + unit[u]) * part;
                long at = (long)t * s->mixer + u * part;
                for (int c = 0; c < part; c += 8) {
                    __m256i half = _mm256_cvtepu16_epi32(_mm_loadu_si128((void *)(x + at + c)));
                    __m256 own = _mm256_castsi256_ps(_mm256_slli_epi32(half, 16));
                    __m256 whole = _mm256_loadu_ps(sum + c);
                    if (back)
                        _mm_storeu_si128((void *)(out + at + c),
                                         (__m128i)_mm256_cvtneps_pbh(_mm256_sub_ps(whole, own)));
                    else
                        _mm256_storeu_ps(sum + c, _mm256_add_ps(whole, own));
                }
            }
        }
}

// out [rows, inner] = swiglu of gate_up [rows, 2 inner]. Keeps gate_up in bf16 if `keep` is given.
static void swiglu(const float *gate_up, int rows, int inner, bf16 *keep, bf16 *out) {
    for (int r = 0; r < rows; r++, gate_up += 2 * inner, out += inner) {
        for (int c = 0; c < inner; c += LANES) {
            __m512 gate = _mm512_loadu_ps(gate_up + c), up = _mm512_loadu_ps(gate_up + inner + c);
            narrow(out + c, mul(mul(gate, sigmoid(gate)), up));
            if (keep) {
                narrow(keep + c, gate);
                narrow(keep + inner + c, up);
            }
        }
        if (keep) keep += 2 * inner;
    }
}

// Writes the gradient of gate_up [rows, 2 inner] from that of swiglu(gate_up) [rows, inner], and
// swiglu(gate_up) itself.
INLINE void swiglu_back(__m512 grad, const bf16 *gate_up, int inner, bf16 *grad_gate_up,
                        bf16 *value) {
    __m512 gate = wide(gate_up), up = wide(gate_up + inner), s = sigmoid(gate);
    __m512 silu = mul(gate, s);
    narrow(value, mul(silu, up));
    narrow(grad_gate_up + inner, mul(grad, silu));
    narrow(grad_gate_up, mul(mul(grad, up), fused(silu, sub(all(1), s), s)));
}

// out = rms(x + more) and the factor of each row.
static void add_and_norm(const bf16 *x, const float *more, int rows, int width, float eps,
                         bf16 *out, float *factor) {
    for (int r = 0; r < rows; r++, x += width, more += width, out += width) {
        __m512 squares = all(0);
        for (int c = 0; c < width; c += LANES) {
            __m512 y = add(wide(x + c), _mm512_loadu_ps(more + c));
            squares = fused(y, y, squares);
        }
        float f = 1 / root(_mm512_reduce_add_ps(squares) / width + eps);
        if (factor) factor[r] = f;
        for (int c = 0; c < width; c += LANES)
            narrow(out + c, mul(add(wide(x + c), _mm512_loadu_ps(more + c)), all(f)));
    }
}

// The gradient of the norm's input, from that of its result `out`: grad [rows, width] in place,
// and a copy in bf16.
static void norm_back(float *grad, const bf16 *out, const float *factor, int rows, int width,
                      bf16 *copy) {
    for (int r = 0; r < rows; r++, grad += width, out += width, copy += width) {
        __m512 along = all(0);
        for (int c = 0; c < width; c += LANES)
            along = fused(_mm512_loadu_ps(grad + c), wide(out + c), along);
        __m512 mean = all(-_mm512_reduce_add_ps(along) / width), f = all(factor[r]);
        for (int c = 0; c < width; c += LANES) {
            __m512 g = mul(fused(wide(out + c), mean, _mm512_loadu_ps(grad + c)), f);
            _mm512_storeu_ps(grad + c, g);
            narrow(copy + c, g);
        }
    }
}

#define NEW(type, count) ((type *)aligned_alloc(64, (sizeof(type) * (count) + 63) / 64 * 64))
#define TILES(t, rows) \
    for (int t = 0, rows; rows = tokens - t < ROWS ? tokens - t : ROWS, t < tokens; t += ROWS)

// x, out [B, T, D]. For the backward pass: keep [B, T, 2 M], h [B, T, D], keep2 [B, T, 2 I] and the
// factors of both norms [B, T], or null pointers.
void forward(const Shape *s, const float *gate_up, const float *down, const float *gate_up2,
             const float *down2, const bf16 *x, bf16 *keep, bf16 *h, float *factor, bf16 *keep2,
             float *factor2, bf16 *out) {
    int D = s->width, M = s->mixer, I = s->inner, tokens = s->symbols * s->side * s->side;
    int most = 2 * (M > I ? M : I);
    pair *w1 = pack(gate_up, 2 * M, D), *w2 = pack(down, D, M);
    pair *w3 = pack(gate_up2, 2 * I, D), *w4 = pack(down2, D, I);
    bf16 *messages = NEW(bf16, (long)tokens * M), *sums = NEW(bf16, (long)tokens * M);
    bf16 *inner = NEW(bf16, ROWS * I), *own_h = NEW(bf16, ROWS * D);
    float *work = NEW(float, (long)tokens * M), *tile = NEW(float, ROWS * most);
    for (int b = 0; b < s->batch; b++) {
        long at = (long)b * tokens;
        TILES(t, rows) {
            product(x + (at + t) * D, D, rows, w1, D / 2, 2 * M, tile);
            swiglu(tile, rows, M, keep ? keep + (at + t) * 2 * M : 0, messages + (long)t * M);
        }
        others(s, messages, sums, work);
        TILES(t, rows) {
            long here = at + t;
            bf16 *h_tile = h ? h + here * D : own_h;
            product(sums + (long)t * M, M, rows, w2, M / 2, D, tile);
            add_and_norm(x + here * D, tile, rows, D, s->eps, h_tile, factor ? factor + here : 0);
            product(h_tile, D, rows, w3, D / 2, 2 * I, tile);
            swiglu(tile, rows, I, keep2 ? keep2 + here * 2 * I : 0, inner);
            product(inner, I, rows, w4, I / 2, D, tile);
            add_and_norm(h_tile, tile, rows, D, s->eps, out + here * D,
                         factor2 ? factor2 + here : 0);
        }
    }
    free(w1), free(w2), free(w3), free(w4), free(messages), free(sums), free(inner), free(own_h);
    free(work), free(tile);
}

// The gradients of x [B, T, D] and, added to what is there, of the matrices.
void backward(const Shape *s, const float *gate_up, const float *down, const float *gate_up2,
              const float *down2, const bf16 *x, const bf16 *keep, const bf16 *h,
              const float *factor, const bf16 *keep2, const float *factor2, const bf16 *out,
              const bf16 *grad_out, bf16 *grad_x, float *grad_gate_up, float *grad_down,
              float *grad_gate_up2, float *grad_down2) {
    int D = s->width, M = s->mixer, I = s->inner, tokens = s->symbols * s->side * s->side;
    int wide_most = 2 * (M > I ? M : I), pairs = (tokens + 1) / 2;
    pair *w1 = pack_transposed(gate_up, 2 * M, D), *w2 = pack_transposed(down, D, M);
    pair *w3 = pack_transposed(gate_up2, 2 * I, D), *w4 = pack_transposed(down2, D, I);
    float *grad = NEW(float, (long)tokens * D);  // of the block's input, h or y
    float *work = NEW(float, (long)tokens * M), *tile = NEW(float, ROWS * wide_most);
    bf16 *narrow_grad = NEW(bf16, (long)tokens * D), *narrow_grad2 = NEW(bf16, (long)tokens * D);
    bf16 *inner = NEW(bf16, (long)tokens * I), *grad_inner = NEW(bf16, (long)tokens * 2 * I);
    bf16 *messages = NEW(bf16, (long)tokens * M), *sums = NEW(bf16, (long)tokens * M);
    bf16 *grad_sums = NEW(bf16, (long)tokens * M), *grad_mixer = NEW(bf16, (long)tokens * 2 * M);
    pair *left = NEW(pair, (long)pairs * wide_most), *right = NEW(pair, (long)pairs * wide_most);
    for (int b = 0; b < s->batch; b++) {
        long at = (long)b * tokens;
        TILES(t, rows) {
            long here = at + t;
            float *g = grad + (long)t * D;
            for (int i = 0; i < rows * D; i += LANES)
                _mm512_storeu_ps(g + i, wide(grad_out + here * D + i));
            norm_back(g, out + here * D, factor2 + here, rows, D, narrow_grad2 + (long)t * D);
            product(narrow_grad2 + (long)t * D, D, rows, w4, D / 2, I, tile);
            for (int r = 0; r < rows; r++)
                for (int c = 0; c < I; c += LANES) {
                    long own = (long)(t + r) * I + c, gate = (long)(t + r) * 2 * I + c;
                    swiglu_back(_mm512_loadu_ps(tile + r * I + c), keep2 + at * 2 * I + gate, I,
                                grad_inner + gate, inner + own);
                }
            product(grad_inner + (long)t * 2 * I, 2 * I, rows, w3, I, D, tile);
            for (int i = 0; i < rows * D; i += LANES)
                _mm512_storeu_ps(g + i, add(_mm512_loadu_ps(g + i), _mm512_loadu_ps(tile + i)));
            norm_back(g, h + here * D, factor + here, rows, D, narrow_grad + (long)t * D);
            product(narrow_grad + (long)t * D, D, rows, w2, D / 2, M, tile);
            for (int i = 0; i < rows * M; i += LANES)
                narrow(grad_sums + (long)t * M + i, _mm512_loadu_ps(tile + i));
        }
        others(s, grad_sums, grad_sums, work);  // the sums are their own transposition
        TILES(t, rows) {
            for (int r = 0; r < rows; r++)
                for (int c = 0; c < M; c += LANES) {
                    long own = (long)(t + r) * M + c;
                    swiglu_back(wide(grad_sums + own), keep + (at + t + r) * 2 * M + c, M,
                                grad_mixer + (long)(t + r) * 2 * M + c, messages + own);
                }
            product(grad_mixer + (long)t * 2 * M, 2 * M, rows, w1, M, D, tile);
            for (int i = 0; i < rows * D; i += LANES)
                narrow(grad_x + (at + t) * D + i,
                       add(_mm512_loadu_ps(grad + (long)t * D + i), _mm512_loadu_ps(tile + i)));
        }
        others(s, messages, sums, work);
        interleave(grad_mixer, tokens, 2 * M, left);
        interleave(x + at * D, tokens, D, right);
        gradient(left, right, pairs, 2 * M, D, grad_gate_up);
        interleave(narrow_grad, tokens, D, left);
        interleave(sums, tokens, M, right);
        gradient(left, right, pairs, D, M, grad_down);
        interleave(grad_inner, tokens, 2 * I, left);
        interleave(h + at * D, tokens, D, right);
        gradient(left, right, pairs, 2 * I, D, grad_gate_up2);
        interleave(narrow_grad2, tokens, D, left);
        interleave(inner, tokens, I, right);
        gradient(left, right, pairs, D, I, grad_down2);
    }
    free(w1), free(w2), free(w3), free(w4), free(grad), free(work), free(tile), free(narrow_grad);
    free(narrow_grad2), free(inner), free(grad_inner), free(messages), free(sums);
    free(grad_sums), free(grad_mixer), free(left), free(right);
}
#endif
