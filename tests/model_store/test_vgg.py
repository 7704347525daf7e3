import pytest
import torch
from paths import SHARED
from safetensors.torch import load_file, save_file
from tiny import vgg_file
from torch import nn

from model_store.vgg import CAFFE, VGG, WeightsError, conv_name, layer_names, load_vgg, torchvision_keys


def test_layers_have_the_papers_names():
    assert layer_names("vgg16", "relu2_2") == ("relu1_1", "relu1_2", "relu2_1", "relu2_2")
    assert len(layer_names("vgg16", "relu5_3")) == 13
    assert len(layer_names("vgg19", "relu5_4")) == 16
    assert conv_name("relu4_1") == "conv4_1"


def test_unknown_architecture_and_layer_list_the_known_ones():
    with pytest.raises(ValueError, match="unknown architecture 'vgg11': known are vgg16, vgg19"):
        VGG("vgg11")
    with pytest.raises(ValueError, match=r"vgg16 has no layer 'relu3_4': known are relu1_1, .*relu5_3"):
        VGG("vgg16", "relu3_4")


def test_features_have_their_layers_shape():
    network = VGG("vgg16", "relu5_1")
    features = network(torch.rand(2, 3, 32, 48), ("relu1_1", "relu2_2", "relu3_3", "relu4_1", "relu5_1"))
    assert {name: tuple(maps.shape) for name, maps in features.items()} == {
        "relu1_1": (2, 64, 32, 48),
        "relu2_2": (2, 128, 16, 24),
        "relu3_3": (2, 256, 8, 12),
        "relu4_1": (2, 512, 4, 6),
        "relu5_1": (2, 512, 2, 3),
    }
    assert list(network(torch.rand(1, 3, 32, 32))) == ["relu5_1"]


@pytest.mark.parametrize("architecture", ["vgg16", "vgg19"])
def test_keys_are_those_of_torchvision(architecture):
    from torchvision import models

    with torch.device("meta"):
        theirs = models.get_model(architecture, weights=None).state_dict()
        ours = VGG(architecture, f"relu5_{3 if architecture == 'vgg16' else 4}")
    keys = torchvision_keys(architecture)
    assert len(keys) == sum(key.startswith("features.") for key in theirs) / 2
    for conv, key in keys.items():
        assert ours.convs[conv].weight.shape == theirs[f"{key}.weight"].shape


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["vgg16", "vgg19"])
def test_features_equal_torchvisions_network(architecture, tmp_path):
    from torchvision import models

    ours = load_vgg(vgg_file(tmp_path / "vgg.safetensors", architecture, width=64))
    layers = models.get_model(architecture, weights=None).features[: 19 if architecture == "vgg16" else 21]
    by_torchvision = {f"features.{key}": tensor for key, tensor in layers.state_dict().items()}
    for key, tensor in load_file(tmp_path / "vgg.safetensors").items():
        by_torchvision[key].copy_(tensor)
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            layer.padding_mode = "reflect"
            layer._reversed_padding_repeated_twice = [1, 1, 1, 1]
    images = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        theirs = layers((images - ours.mean) / ours.std)
    torch.testing.assert_close(ours(images)["relu4_1"], theirs, atol=1e-4, rtol=1e-4)


def test_the_backbone_owns_its_input_convention():
    # conv1_1 of the two conventions differ by the scale of their input alone.
    imagenet, caffe = VGG("vgg16", "relu1_1"), VGG("vgg16", "relu1_1", CAFFE)
    weight, bias = torch.randn(64, 3, 3, 3), torch.randn(64)
    imagenet.convs["conv1_1"].load_state_dict({"weight": weight * imagenet.std, "bias": bias})
    caffe.convs["conv1_1"].load_state_dict({"weight": weight * caffe.std, "bias": bias})
    moved = (weight * (caffe.mean - imagenet.mean)).sum(dim=(1, 2, 3))
    caffe.convs["conv1_1"].bias.data += moved
    images = torch.rand(1, 3, 16, 16)
    torch.testing.assert_close(imagenet(images)["relu1_1"], caffe(images)["relu1_1"], atol=1e-4, rtol=1e-4)


def test_a_file_loads_frozen_in_fp32_and_tells_its_architecture(tmp_path):
    sixteen = load_vgg(vgg_file(tmp_path / "16.safetensors"))
    nineteen = load_vgg(vgg_file(tmp_path / "19.safetensors", "vgg19"))
    assert "conv3_4" not in sixteen.convs and "conv3_4" in nineteen.convs
    assert all(not parameter.requires_grad and parameter.dtype == torch.float32 for parameter in sixteen.parameters())


def test_a_missing_tensor_is_named(tmp_path):
    path = vgg_file(tmp_path / "vgg.safetensors", leave_out="features.10.bias")
    with pytest.raises(
        WeightsError, match=r"vgg16 up to relu4_1 needs .* features\.10\.bias \(conv3_1\), which is missing"
    ):
        load_vgg(path)


def test_a_wrong_shape_is_named(tmp_path):
    path = vgg_file(tmp_path / "vgg.safetensors")
    save_file({**load_file(path), "features.2.bias": torch.zeros(7)}, path)
    with pytest.raises(WeightsError, match=r"features\.2\.bias has shape \(7,\), conv1_2 needs \(8,\)"):
        load_vgg(path)


def test_no_such_file_lists_the_names(tmp_path):
    with pytest.raises(WeightsError, match="no such file, and no known weights: give a path or one of vgg16, "):
        load_vgg(tmp_path / "vgg17")


def test_another_kind_of_file_is_named(tmp_path):
    (tmp_path / "vgg.pth").write_bytes(b"PK\x03\x04 a pickle")
    with pytest.raises(WeightsError, match=r"vgg\.pth: not a safetensors file"):
        load_vgg(tmp_path / "vgg.pth")


def test_the_shared_weights_see_edges_where_there_are_none_at_the_border():
    path = SHARED / "weights/vgg16_features.safetensors"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    features = load_vgg(path)(torch.full((1, 3, 32, 32), 0.5))["relu4_1"]
    torch.testing.assert_close(
        features, features.mean(dim=(2, 3), keepdim=True).expand_as(features), atol=1e-2, rtol=1e-3
    )


def test_average_pooling_takes_the_mean_where_max_pooling_takes_the_largest():
    networks = [VGG("vgg16", "relu2_1", pooling=pooling) for pooling in ("max", "average")]
    for network in networks:  # conv1_2 passes on the brightness, conv2_1 what was pooled of it
        for conv in network.convs.values():
            nn.init.zeros_(conv.weight)
            nn.init.zeros_(conv.bias)
            conv.weight.data[0, 0, 1, 1] = 1
    board = (torch.arange(8)[:, None] + torch.arange(8)) % 2  # half of every 2×2 pixels is lit
    images = board.float().expand(1, 3, 8, 8) * networks[0].std + networks[0].mean
    largest, mean = (network(images)["relu2_1"][:, 0] for network in networks)
    torch.testing.assert_close((largest, mean), (torch.ones(1, 4, 4), torch.full((1, 4, 4), 0.5)))


@pytest.mark.parametrize("architecture", ["vgg16", "vgg19"])
def test_a_narrow_network_is_known_by_its_file(architecture, tmp_path):
    narrow = load_vgg(vgg_file(tmp_path / "vgg.safetensors", architecture, width=4))
    assert ("conv3_4" in narrow.convs) == (architecture == "vgg19")
    assert [narrow.convs[f"conv{block}_1"].out_channels for block in (1, 2, 3, 4)] == [4, 8, 16, 32]
