"""SAM models of every kind that is read, a few thousand random weights each, saved as users do."""

import json
import shutil
from pathlib import Path

import torch
import transformers as hf
from safetensors.torch import save_file

DECODER = {"hidden_size": 32, "mlp_dim": 32, "num_attention_heads": 2, "iou_head_hidden_dim": 16}
PROMPTS = {"hidden_size": 32, "mask_input_channels": 4}
LEVELS = [[16, 16], [8, 8], [4, 4]]


def save_sam1(folder: Path) -> None:
    """SAM 1, which keeps a picture's aspect: 64 x 64."""
    vision = {
        "hidden_size": 16,
        "output_channels": 32,
        "num_pos_feats": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 64,
        "window_size": 2,
        "global_attn_indexes": [1],
        "mlp_dim": 32,
    }
    prompts = {**PROMPTS, "image_size": 64, "image_embedding_size": 4}
    config = hf.SamConfig(
        vision_config=vision, prompt_encoder_config=prompts, mask_decoder_config=DECODER
    )
    processor = hf.SamImageProcessor(
        size={"longest_edge": 64}, pad_size={"height": 64, "width": 64}
    )
    save(hf.SamModel, config, hf.SamProcessor(processor), folder)


def save_sam2(folder: Path) -> None:
    """SAM 2, which squashes pictures to a square: 64 x 64."""
    backbone = {
        "model_type": "sam2_hiera_det_model",
        "hidden_size": 8,
        "image_size": [64, 64],
        "blocks_per_stage": [1, 2, 1, 1],
        "embed_dim_per_stage": [8, 16, 32, 64],
        "num_attention_heads_per_stage": [1, 1, 2, 2],
        "window_size_per_stage": [4, 2, 2, 2],
        "global_attention_blocks": [2],
    }
    vision = {
        "model_type": "sam2_vision_model",
        "backbone_config": backbone,
        "backbone_channel_list": [64, 32, 16, 8],
        "backbone_feature_sizes": LEVELS,
        "fpn_hidden_size": 32,
    }
    config = hf.Sam2Config(
        vision_config=vision,
        prompt_encoder_config={**PROMPTS, "image_size": 64},
        mask_decoder_config=DECODER,
    )
    processor = hf.Sam2ImageProcessor(size={"height": 64, "width": 64})
    save(hf.Sam2Model, config, hf.Sam2Processor(processor), folder)


def save_sam3(folder: Path) -> None:
    """SAM 3's tracker: 56 x 56."""
    processor = hf.Sam3ImageProcessor(size={"height": 56, "width": 56})
    save(hf.Sam3TrackerModel, sam3_config(), hf.Sam3TrackerProcessor(processor), folder)


def sam3_config() -> hf.Sam3TrackerConfig:
    backbone = {
        "model_type": "sam3_vit_model",
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 56,
        "pretrain_image_size": 28,
        "window_size": 2,
        "global_attn_indexes": [1],
    }
    vision = {
        "model_type": "sam3_vision_model",
        "backbone_config": backbone,
        "fpn_hidden_size": 32,
        "backbone_feature_sizes": LEVELS,
    }
    return hf.Sam3TrackerConfig(
        vision_config=vision,
        prompt_encoder_config={**PROMPTS, "image_size": 56},
        mask_decoder_config=DECODER,
    )


def save(kind: type, config: object, processor: hf.ProcessorMixin, folder: Path) -> None:
    """Draw weights and save them; masks and scores are spread, as those of trained models are."""
    torch.manual_seed(0)
    model = kind(config)
    with torch.no_grad():
        for name, weight in model.mask_decoder.named_parameters():
            if "hypernetworks" in name or "iou_prediction" in name:
                weight.normal_(std=0.8)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


def publish_sam2(source: Path, folder: Path) -> None:
    """Lay a SAM 2 out as on the hub: a video model's configuration, an older processor's file."""
    folder.mkdir()
    shutil.copy(source / "model.safetensors", folder)
    config = json.loads((source / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "sam2_video"}))
    processor = json.loads((source / "processor_config.json").read_text())["image_processor"]
    processor["image_processor_type"] = "Sam2ImageProcessorFast"
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))


def publish_sam3(source: Path, folder: Path) -> None:
    """Lay a SAM 3 out as on the hub: the tracker is a part of a video model, by other names."""
    folder.mkdir()
    shutil.copy(source / "processor_config.json", folder)
    tracker = json.loads((source / "config.json").read_text())
    tracker |= {"model_type": "sam3_tracker_video", "image_size": 56}
    config = {"model_type": "sam3_video", "tracker_config": tracker}
    (folder / "config.json").write_text(json.dumps(config))
    weights = hf.Sam3TrackerModel.from_pretrained(source).state_dict()
    published = {published_name(name): weight.clone() for name, weight in weights.items()}
    save_file(published, folder / "model.safetensors", {"format": "pt"})


def published_name(name: str) -> str:
    if name.startswith("vision_encoder.backbone."):
        return f"detector_model.{name}"
    if name.startswith("vision_encoder.neck."):
        return name.replace("vision_encoder.neck", "tracker_neck")
    return f"tracker_model.{name}"
