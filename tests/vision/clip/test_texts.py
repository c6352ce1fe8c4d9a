import numpy as np
import open_clip
import torch

from captionary.vision.clip.texts import encode_trimmed, trimmable_tower


def test_towers_whose_vectors_depend_on_padding_are_not_trimmed() -> None:
    small = {"context_length": 8, "vocab_size": 50, "width": 16, "heads": 2, "layers": 1}
    build = open_clip.transformer.TextTransformer
    assert trimmable_tower(torch.nn.ModuleDict({"x": build(**small)})) is None
    for option in ({"no_causal_mask": True}, {"embed_cls": True}, {"pool_type": "last"}):
        model = torch.nn.Module()
        model.text = build(**small, **option)
        assert trimmable_tower(model) is None
    text = build(**small, proj_bias=True, output_dim=4)
    model.text = text
    tower = trimmable_tower(model)
    tokens = torch.tensor([[1, 2, 49, 0, 0, 0, 0, 0]])
    with torch.inference_mode():
        np.testing.assert_allclose(encode_trimmed(tower, tokens[:, :4]), text(tokens), atol=1e-6)
