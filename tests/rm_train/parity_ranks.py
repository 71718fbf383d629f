"""What the ranks of the parity tests do; run by torchrun. Writes scores, features, gradients and a round trip.

python parity_ranks.py TP OUT MODEL...
For each Hugging Face folder: OUT/NAME.safetensors, and OUT/NAME, the folder written again; where a model is shared and
data is not, in OUT/shared_tokens the same once more, with tokens shared among the ranks as they are on GPUs.
"""

import sys
from pathlib import Path

import torch

from helpers.pack import COEFFICIENTS, sequences
from helpers.sequence_parallel import share_tokens
from rm_train import convert, model, parallel
from rm_train.convert.export import hugging_face_tensors, write
from rm_train.packed import Packed
from rm_train.shape import BackboneShape


def run(folder: Path, layout: parallel.Layout, out: Path) -> None:
    from safetensors.torch import save_file

    shape = BackboneShape.of(folder)
    reward_model = model.build(shape, layout, torch.float32, recompute=folder.name.endswith("recompute"))
    convert.load(folder, reward_model, convert.Head.KEPT)
    if torch.distributed.get_rank() == 0:
        write(reward_model, folder, out / folder.name)
    elif layout.dp_rank == 0:
        list(hugging_face_tensors(reward_model))
    batch = sequences(shape.vocab)
    mine = range(layout.dp_rank, len(batch), layout.dp)  # data-parallel ranks share the sequences
    scores = reward_model(Packed.of([batch[index] for index in mine]))
    (scores * torch.tensor([COEFFICIENTS[index] for index in mine])).sum().backward()
    parallel.reduce_gradients(reward_model)
    norm = parallel.clip_gradients(reward_model, 1e9)
    with torch.no_grad():
        all_scores = parallel.gather_over_dp(torch.stack([torch.tensor(list(mine)).float(), scores.detach()], dim=1))
        alone = torch.cat([reward_model(Packed.of([ids])) for ids in batch])
        features = reward_model.features(Packed.of(batch))
        for parameter in reward_model.parameters():
            parameter.copy_(parallel.gradient_of(parameter))
    gradients = {f"gradient.{name}": tensor for name, tensor in hugging_face_tensors(reward_model)}
    if torch.distributed.get_rank() == 0:
        packed = all_scores[all_scores[:, 0].argsort(), 1].contiguous()
        facts = {"packed": packed, "alone": alone, "features": features, "norm": torch.tensor(norm)}
        save_file({**gradients, **facts}, out / f"{folder.name}.safetensors")


if __name__ == "__main__":
    tp, out, *folders = sys.argv[1:]
    ranks = parallel.start(int(tp))
    for name in folders:
        run(Path(name), ranks, Path(out))
    if ranks.tp > 1 and ranks.dp == 1:
        share_tokens()
        for name in folders:
            run(Path(name), ranks, Path(out) / "shared_tokens")
    parallel.stop()
