//! Int8 products as arrays, for targets without vector instructions for them.

use super::elementwise::byte;
use super::int8_lanes::Int8Lanes;
use super::lanes::Lanes;
use super::portable::Portable;

/// Four 32-bit words as an array.
#[derive(Clone, Copy)]
pub(super) struct PortableInt8([u32; 4]);

impl Int8Lanes for PortableInt8 {
    type Floats = Portable;
    const ZERO_POINT: u8 = 0x80;
    #[inline(always)]
    unsafe fn splat(x: u32) -> Self {
        Self([x; 4])
    }
    #[inline(always)]
    unsafe fn load(from: *const u32) -> Self {
        // SAFETY: the caller vouches for four words there.
        Self(unsafe { from.cast::<[u32; 4]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn dot(self, activations: Self, weights: Self) -> Self {
        // Even and odd bytes as halves of a word: the compiler turns this into multiplications of
        // pairs.
        Self(std::array::from_fn(|i| {
            let (u, s) = (activations.0[i], weights.0[i] as i32);
            let products = (u & 0xff) as i32 * (s << 24 >> 24)
                + (u >> 8 & 0xff) as i32 * (s << 16 >> 24)
                + (u >> 16 & 0xff) as i32 * (s << 8 >> 24)
                + (u >> 24) as i32 * (s >> 24);
            self.0[i].wrapping_add(products as u32)
        }))
    }
    #[inline(always)]
    unsafe fn dot_int16(sums: [Self; 2], a: Self, b: [Self; 2]) -> [Self; 2] {
        std::array::from_fn(|v| {
            Self(std::array::from_fn(|i| {
                let (a, b) = (a.0[i] as i32, b[v].0[i] as i32);
                let low = (a << 16 >> 16).wrapping_mul(b << 16 >> 16);
                let high = (a >> 16).wrapping_mul(b >> 16);
                sums[v].0[i]
                    .wrapping_add(low as u32)
                    .wrapping_add(high as u32)
            }))
        })
    }
    #[inline(always)]
    unsafe fn to_floats(self) -> Portable {
        Portable::from(self.0.map(|x| x as i32 as f32))
    }
    #[inline(always)]
    unsafe fn store_bytes(x: Portable, to: *mut u8) {
        let mut floats = [0.0; 4];
        // SAFETY: four floats fit; the caller vouches for four bytes.
        unsafe {
            x.store(floats.as_mut_ptr());
            to.cast::<[u8; 4]>()
                .write_unaligned(floats.map(|x| byte(x, Self::ZERO_POINT)));
        }
    }
}
