def test_the_whole_network_has_the_parameters_of_the_reference(answer, monkeypatch):
    import keras

    monkeypatch.setattr("devise.backbones.keras_applications.randomise", lambda network, seed: None)
    monkeypatch.setattr(keras.initializers.VarianceScaling, "__call__",  # 143 million draws take seconds
                        lambda self, shape, dtype=None: keras.ops.zeros(shape, dtype))
    document = answer("summary", "--backbone", "vgg16", "--dim", "300")
    assert document["total"] == 143_064_044
    assert (document["trainable"], document["non_trainable"]) == (8_798_900, 134_265_144)
    assert (document["backbone"], document["layer"], document["feature_dim"]) == ("vgg16", "fc2", 4096)


def test_another_head_has_others(devise):
    ran = devise("summary", "--backbone", "efficientnet_lite0", "--dim", "50", "--sizes", "")
    kernel, bias, scale, shift = 1280 * 50, 50, 50, 50  # one Dense layer and its BatchNorm
    rows = {line.split()[0]: line.split()[1] for line in ran.out.splitlines() if len(line.split()) == 2}
    assert ran.code == 0 and rows["trainable"] == f"{kernel + bias + scale + shift:,}"
