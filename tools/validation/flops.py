"""FLOPs by each source's own formula, to turn its metric back into seconds per step.

Every source counts differently; none of these is the simulator's count. B sequences of s tokens, l layers of width h,
vocabulary v, N parameters.
"""


def Narayanan(batch, seq, layers, hidden, vocab):
    """Per step, recomputation included. Narayanan et al. 2021, arXiv:2104.04473, section 5.1 (equation 3)."""
    return (96 * batch * seq * layers * hidden**2
            * (1 + seq / (6 * hidden) + vocab / (16 * layers * hidden)))


def Palm(parameters, layers, hidden, seq):
    """Per token, without recomputation and with the full square of attention: 6N + 12 l h s (PaLM, arXiv:2204.02311,
    appendix B), as llm-foundry, torchtitan and fms-fsdp use it."""
    return 6 * parameters + 12 * layers * hidden * seq


"""FLOPs by each source's own formula, to turn its metric back into seconds per step.

Every source counts differently; none of these is the simulator's count. B sequences of s tokens, l layers of width h,
vocabulary v, N parameters.
"""


def Narayanan(batch, seq, layers, hidden, vocab):
    """Per step, recomputation included. Narayanan et al. 2021, arXiv:2104.04473, section 5.1 (equation 3)."""
    return (96 * batch * seq * layers * hidden**2
            * (1 + seq / (6 * hidden) + vocab / (16 * layers * hidden)))


def Palm(parameters, layers, hidden, seq):
    """Per token, without recomputation and with the full square of attention: 6N + 12 l h s (PaLM, arXiv:2204.02311,
    appendix B), as llm-foundry, torchtitan and fms-fsdp use it."""
    return 6 * parameters + 12 * layers * hidden * seq


def T5Forward(encoder, decoder, d_model, inner, d_ff, layers, vocab):
    """Matmul FLOPs of one sequence through Hugging Face's T5, forward: encoder layers (self attention, feed-forward),
    decoder layers (self and cross attention, feed-forward), output head. 2 per multiply-add, attention not halved."""
    def projections(tokens_in, tokens_out):
        # query and output over tokens_in, key and value over tokens_out
        return 2 * d_model * inner * (2 * tokens_in + 2 * tokens_out)

    def scores(queries, keys):
        return 2 * 2 * queries * keys * inner

    feed_forward = 2 * 2 * d_model * d_ff
    encoder_layer = projections(encoder, encoder) + scores(encoder, encoder) + feed_forward * encoder
    decoder_layer = (projections(decoder, decoder) + scores(decoder, decoder)
                     + projections(decoder, encoder) + scores(decoder, encoder) + feed_forward * decoder)
    return layers * (encoder_layer + decoder_layer) + 2 * decoder * d_model * vocab
