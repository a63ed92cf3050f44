//! Division of polynomials over GF(2), on which the cyclic block codes rest. Bit n of a word is the
//! coefficient of x^n.

/// Remainder of `word` divided by `generator`, whose highest bit is set; `generator` must not be 0.
pub(crate) const fn remainder(mut word: u32, generator: u32) -> u32 {
    let degree = generator.ilog2();
    while word != 0 && word.ilog2() >= degree {
        word ^= generator << (word.ilog2() - degree);
    }
    word
}

/// 1 where the number of set bits is odd, else 0.
pub(crate) const fn parity(word: u32) -> u32 {
    word.count_ones() & 1
}
